//! The parser of expressions: a tokenizer and a recursive descent.

use super::{Expression, FIELDS, Literal, Op};

/// How deep parentheses and negations may be nested.
const MAX_DEPTH: usize = 50;

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
        Some(token) => Err(format!("unexpected {}", name(token))),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    const SIGNS: [(&str, Token); 15] = [
        ("&&", Token::And),
        ("||", Token::Or),
        ("==", Token::Op(Op::Equal)),
        ("!=", Token::Op(Op::NotEqual)),
        ("!~", Token::Op(Op::NotContains)),
        ("<=", Token::Op(Op::AtMost)),
        (">=", Token::Op(Op::AtLeast)),
        ("=", Token::Op(Op::Equal)),
        ("<", Token::Op(Op::Less)),
        (">", Token::Op(Op::Greater)),
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
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                *rest = &rest[at + 1..];
                return Ok(Token::Quoted(text));
            }
            '\\' => text.extend(chars.next().map(|(_, escaped)| escaped)),
            other => text.push(other),
        }
    }
    Err("missing closing quote".to_owned())
}

fn word(rest: &mut &str) -> Result<Token, String> {
    let end = rest.find(|c: char| c.is_whitespace() || "()<>=!~\"&|".contains(c)).unwrap_or(rest.len());
    let (word, behind) = rest.split_at(end);
    if word.is_empty() {
        return Err(format!("unexpected character {:?}", rest.chars().next().unwrap_or_default()));
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
        if self.depth > MAX_DEPTH {
            return Err(format!("the expression is nested deeper than {MAX_DEPTH}"));
        }
        let one = match self.next() {
            Some(Token::Not) => Expression::Not(Box::new(self.one()?)),
            Some(Token::Open) => {
                let inner = self.any()?;
                if !self.take(&Token::Close) {
                    return Err("missing closing parenthesis".to_owned());
                }
                inner
            }
            Some(Token::Word(word)) => self.test(field(&word)?)?,
            Some(token) => return Err(format!("expected a field, found {}", name(&token))),
            None => return Err("missing condition at the end".to_owned()),
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
            _ => return Err(format!("missing value after {field}")),
        };
        Ok(Expression::Test { field, op, literal })
    }
}

fn field(word: &str) -> Result<&'static str, String> {
    let found = FIELDS.into_iter().find(|field| field.eq_ignore_ascii_case(word));
    found.ok_or_else(|| format!("unknown field {word:?}; the fields are {}", FIELDS.join(", ")))
}

/// Parses a number. A unit of time converts it to milliseconds, a unit of size to bytes.
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
        Token::Op(_) => "operator".to_owned(),
        Token::Open | Token::Close => "parenthesis".to_owned(),
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
    fn errors_name_the_cause() {
        for (text, part) in [
            ("", "missing condition at the end"),
            ("status ==", "missing value after status"),
            ("status = passed passed", "unexpected \"passed\""),
            ("(status = passed", "missing closing parenthesis"),
            ("statsu = passed", "unknown field \"statsu\"; the fields are time"),
            ("reason ~ \"x", "missing closing quote"),
            ("and", "expected a field, found \"and\""),
            ("status & x", "unexpected character '&'"),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.contains(part), "{text}: {said}");
        }
        assert!(
            parse(&format!("{}status{}", "(".repeat(60), ")".repeat(60))).unwrap_err().contains("deeper")
        );
        assert!(parse(&"status and ".repeat(500)).is_err());
    }

    /// Writes an expression with all parentheses.
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
                    Op::NotEqual => "!=",
                    Op::Less => "<",
                    Op::AtMost => "<=",
                    Op::Greater => ">",
                    Op::AtLeast => ">=",
                    Op::Contains => "~",
                    Op::NotContains => "!~",
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
        use Op::{AtLeast, AtMost, Contains, Equal, Greater, Less, NotContains, NotEqual};
        proptest::sample::select(vec![Equal, NotEqual, Less, AtMost, Greater, AtLeast, Contains, NotContains])
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
        fn written_expression_is_parsed_back(expression in any_expression()) {
            prop_assert_eq!(parse(&write(&expression)), Ok(expression));
        }

        #[test]
        fn any_text_is_parsed_without_panic(text in ".{0,60}") {
            let _ = parse(&text);
        }
    }
}
