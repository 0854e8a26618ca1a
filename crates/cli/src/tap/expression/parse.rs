//! Reading an expression: tokens, then a descent along the grammar.

use super::{Expression, FIELDS, Literal, Op};

/// How deep brackets and negations may be nested.
const DEPTH: usize = 50;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    Op(Op),
    Word(String),
    Quoted(String),
}

pub(super) fn parse(text: &str) -> Result<Expression, String> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
    let expression = parser.any()?;
    match parser.tokens.get(parser.at) {
        None => Ok(expression),
        Some(token) => Err(format!("did not expect {} there", name(token))),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    const SIGNS: [(&str, Token); 15] = [
        ("&&", Token::And),
        ("||", Token::Or),
        ("==", Token::Op(Op::Equal)),
        ("!=", Token::Op(Op::Differs)),
        ("!~", Token::Op(Op::Lacks)),
        ("<=", Token::Op(Op::AtMost)),
        (">=", Token::Op(Op::AtLeast)),
        ("=", Token::Op(Op::Equal)),
        ("<", Token::Op(Op::Less)),
        (">", Token::Op(Op::More)),
        ("~", Token::Op(Op::Contains)),
        ("!", Token::Not),
        ("(", Token::Open),
        (")", Token::Close),
        ("\"", Token::Quoted(String::new())),
    ];
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let token = match SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
            Some((sign, Token::Quoted(_))) => {
                rest = &rest[sign.len()..];
                quoted(&mut rest)?
            }
            Some((sign, token)) => {
                rest = &rest[sign.len()..];
                token.clone()
            }
            None => word(&mut rest)?,
        };
        tokens.push(token);
        rest = rest.trim_start();
    }
    Ok(tokens)
}

fn quoted(rest: &mut &str) -> Result<Token, String> {
    let mut text = String::new();
    let mut letters = rest.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => {
                *rest = &rest[at + 1..];
                return Ok(Token::Quoted(text));
            }
            '\\' => text.extend(letters.next().map(|(_, escaped)| escaped)),
            other => text.push(other),
        }
    }
    Err("a quoted text has no end".to_owned())
}

fn word(rest: &mut &str) -> Result<Token, String> {
    let end = rest.find(|c: char| c.is_whitespace() || "()<>=!~\"&|".contains(c)).unwrap_or(rest.len());
    let (word, behind) = rest.split_at(end);
    if word.is_empty() {
        return Err(format!("cannot read {:?}", rest.chars().next().unwrap_or_default()));
    }
    *rest = behind;
    Ok(match word.to_ascii_lowercase().as_str() {
        "and" => Token::And,
        "or" => Token::Or,
        "not" => Token::Not,
        _ => Token::Word(word.to_owned()),
    })
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn take(&mut self, wanted: &Token) -> bool {
        let is_there = self.tokens.get(self.at) == Some(wanted);
        self.at += usize::from(is_there);
        is_there
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn any(&mut self) -> Result<Expression, String> {
        let mut parts = vec![self.all()?];
        while self.take(&Token::Or) {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Or(parts) })
    }

    fn all(&mut self) -> Result<Expression, String> {
        let mut parts = vec![self.one()?];
        while self.take(&Token::And) {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::And(parts) })
    }

    fn one(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(format!("it is nested deeper than {DEPTH}"));
        }
        let one = match self.next() {
            Some(Token::Not) => Expression::Not(Box::new(self.one()?)),
            Some(Token::Open) => {
                let inner = self.any()?;
                if !self.take(&Token::Close) {
                    return Err("a bracket is not closed".to_owned());
                }
                inner
            }
            Some(Token::Word(word)) => self.test(field(&word)?)?,
            Some(token) => return Err(format!("expected a field, found {}", name(&token))),
            None => return Err("a condition is missing at the end".to_owned()),
        };
        self.depth -= 1;
        Ok(one)
    }

    fn test(&mut self, field: &'static str) -> Result<Expression, String> {
        let Some(&Token::Op(op)) = self.tokens.get(self.at) else { return Ok(Expression::Has(field)) };
        self.at += 1;
        let literal = match self.next() {
            Some(Token::Word(text)) => Literal { number: number(&text), text },
            Some(Token::Quoted(text)) => Literal { number: None, text },
            _ => return Err(format!("a value is missing after {field}")),
        };
        Ok(Expression::Test { field, op, literal })
    }
}

fn field(word: &str) -> Result<&'static str, String> {
    let found = FIELDS.into_iter().find(|field| field.eq_ignore_ascii_case(word));
    found.ok_or_else(|| format!("there is no field {word:?}; there are {}", FIELDS.join(", ")))
}

/// A number; with a unit of time in milliseconds, with one of size in bytes.
fn number(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 8] = [
        ("", 1.0),
        ("ms", 1.0),
        ("s", 1e3),
        ("m", 60e3),
        ("h", 3_600e3),
        ("d", 86_400e3),
        ("kb", 1_024.0),
        ("mb", 1_048_576.0),
    ];
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..].to_ascii_lowercase();
    let factor = UNITS.iter().find(|(name, _)| *name == unit)?.1;
    digits.parse::<f64>().ok().map(|number| number * factor)
}

fn name(token: &Token) -> String {
    match token {
        Token::Word(text) | Token::Quoted(text) => format!("{text:?}"),
        Token::Op(_) => "a comparison".to_owned(),
        Token::Open | Token::Close => "a bracket".to_owned(),
        Token::And => "\"and\"".to_owned(),
        Token::Or => "\"or\"".to_owned(),
        Token::Not => "\"not\"".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_wrong_is_said() {
        for (text, word) in [
            ("", "missing at the end"),
            ("status ==", "a value is missing after status"),
            ("status = passed passed", "did not expect \"passed\""),
            ("(status = passed", "not closed"),
            ("statsu = passed", "no field \"statsu\"; there are time"),
            ("reason ~ \"x", "no end"),
            ("and", "expected a field, found \"and\""),
            ("status & x", "cannot read '&'"),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.contains(word), "{text}: {said}");
        }
        assert!(
            parse(&format!("{}status{}", "(".repeat(60), ")".repeat(60))).unwrap_err().contains("deeper")
        );
        assert!(parse(&"status and ".repeat(500)).is_err());
    }

    /// An expression in its full form, with every bracket.
    fn write(expression: &Expression) -> String {
        let join = |parts: &[Expression], word: &str| {
            let parts: Vec<_> = parts.iter().map(write).collect();
            format!("({})", parts.join(&format!(" {word} ")))
        };
        match expression {
            Expression::Or(parts) => join(parts, "or"),
            Expression::And(parts) => join(parts, "and"),
            Expression::Not(one) => format!("not {}", write(one)),
            Expression::Has(field) => (*field).to_owned(),
            Expression::Test { field, op, literal } => {
                let op = match op {
                    Op::Equal => "==",
                    Op::Differs => "!=",
                    Op::Less => "<",
                    Op::AtMost => "<=",
                    Op::More => ">",
                    Op::AtLeast => ">=",
                    Op::Contains => "~",
                    Op::Lacks => "!~",
                };
                let value = match literal.number {
                    Some(_) => literal.text.clone(),
                    None => format!("\"{}\"", literal.text.replace('\\', "\\\\").replace('"', "\\\"")),
                };
                format!("{field}{op}{value}")
            }
        }
    }

    fn any_op() -> impl Strategy<Value = Op> {
        use Op::{AtLeast, AtMost, Contains, Differs, Equal, Lacks, Less, More};
        proptest::sample::select(vec![Equal, Differs, Less, AtMost, More, AtLeast, Contains, Lacks])
    }

    fn any_expression() -> impl Strategy<Value = Expression> {
        let field = || proptest::sample::select(FIELDS.to_vec());
        let literal = prop_oneof![
            ".{0,12}".prop_map(|text| Literal { number: None, text }),
            (0_u32..10_000).prop_map(|n| Literal { number: Some(f64::from(n) * 1e3), text: format!("{n}s") }),
        ];
        let test = (field(), any_op(), literal).prop_map(|(field, op, literal)| Expression::Test {
            field,
            op,
            literal,
        });
        let leaf = prop_oneof![test, field().prop_map(Expression::Has)];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let parts = || proptest::collection::vec(inner.clone(), 2..4);
            prop_oneof![
                parts().prop_map(Expression::Or),
                parts().prop_map(Expression::And),
                inner.clone().prop_map(|one| Expression::Not(Box::new(one))),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_in_full_is_read_as_it_was(expression in any_expression()) {
            prop_assert_eq!(parse(&write(&expression)), Ok(expression));
        }

        #[test]
        fn no_text_breaks_it(text in ".{0,60}") {
            let _ = parse(&text);
        }
    }
}
