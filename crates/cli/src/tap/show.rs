//! Output formats of events: a coloured line, JSON, or a template.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::event::{Event, UNDECODABLE};
use crate::output;
use crate::terminal;
use crate::time::format_millis;
use gavel_describe::expression::{FIELDS, text};

/// The value of `-o`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Pretty,
    Jsonl,
    Template(Vec<Part>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    Field(&'static str),
}

/// Fields of templates that are not fields of the event.
const COMPUTED_FIELDS: [&str; 2] = ["says", "shortId"];

impl Format {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("template=")) {
            ("pretty", _) => Ok(Self::Pretty),
            ("jsonl", _) => Ok(Self::Jsonl),
            (_, Some(template)) => template_of(template).map(Self::Template),
            _ => Err("expected pretty, jsonl or template='{time} {stage} {id} {says}'".to_owned()),
        }
    }
}

fn template_of(mut rest: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    while let Some(at) = rest.find('{') {
        parts.push(Part::Text(rest[..at].to_owned()));
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix('{') {
            parts.push(Part::Text("{".to_owned()));
            rest = behind;
            continue;
        }
        let (name, behind) = rest.split_once('}').ok_or("missing } after {; write {{ for a literal {")?;
        let field = FIELDS.into_iter().chain(COMPUTED_FIELDS).find(|field| *field == name);
        let fields = || FIELDS.into_iter().chain(COMPUTED_FIELDS).collect::<Vec<_>>().join(", ");
        parts.push(Part::Field(
            field.ok_or_else(|| format!("unknown field {name:?}; the fields are {}", fields()))?,
        ));
        rest = behind;
    }
    parts.push(Part::Text(rest.to_owned()));
    Ok(parts)
}

/// Writes events to standard output.
pub(super) struct Show<W> {
    out: W,
    format: Format,
    colours: bool,
}

impl<W: Write> Show<W> {
    pub(super) fn new(out: W, format: Format, colours: bool) -> Self {
        Self { out, format, colours }
    }

    pub(super) fn event(&mut self, event: &Event) -> io::Result<()> {
        match &self.format {
            Format::Pretty => self.pretty(event),
            Format::Jsonl => writeln!(self.out, "{}", output::json_line(event)),
            Format::Template(parts) => {
                let fields = serde_json::to_value(event).expect("our own values have a JSON form");
                let line: String = parts.iter().map(|part| part.of(event, &fields)).collect();
                writeln!(self.out, "{line}")
            }
        }
    }

    /// Prints a notice, which is not an event.
    pub(super) fn notice(&mut self, sentence: &str) -> io::Result<()> {
        if self.format == Format::Jsonl {
            return writeln!(self.out, "{}", output::json_line(&json!({ "notice": sentence })));
        }
        // Flushed first, so that events and notices keep their order on a terminal.
        self.out.flush()?;
        eprintln!("gavel tap: {}", output::escape_control(sentence));
        Ok(())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn pretty(&mut self, event: &Event) -> io::Result<()> {
        let gap = event.gap_ms.map_or_else(String::new, |ms| format!("+{}", format_millis(ms)));
        let stage = format!("{:<9}", if event.stage == UNDECODABLE { "?" } else { event.stage.as_str() });
        let id = format!("{:<12}", event.short_id());
        let language = event.language.map_or_else(String::new, Event::language_name);
        let time = event.time.time_of_day();
        // Wrapped text stays in its column on a narrow terminal.
        let indent = format!("{time} {gap:>8} {stage} {id} {language:<10} ").chars().count();
        let columns = if self.colours { terminal::columns() } else { None };
        let line = format!(
            "{} {gap:>8} {} {} {language:<10} {}",
            self.paint(DIM, &time),
            self.paint(stage_colour(event), &stage),
            self.paint(id_colour(&event.id), &id),
            terminal::wrap(&event.summary(), indent, columns),
        );
        writeln!(self.out, "{}", line.trim_end())?;
        for (name, value) in &event.headers {
            writeln!(self.out, "    {}: {}", output::escape_control(name), output::escape_control(value))?;
        }
        for said in [&event.source, &event.output].into_iter().flatten() {
            for line in said.lines() {
                writeln!(self.out, "    | {}", output::escape_control(line))?;
            }
        }
        Ok(())
    }

    fn paint(&self, colour: u8, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

impl Part {
    fn of(&self, event: &Event, fields: &Value) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Field("says") => event.summary(),
            Self::Field("shortId") => event.short_id(),
            Self::Field(field) => {
                fields.get(field).map_or_else(String::new, |value| output::escape_control(&text(value)))
            }
        }
    }
}

const DIM: u8 = 2;
const RED: u8 = 31;
const GREEN: u8 = 32;
const YELLOW: u8 = 33;
const DEFAULT: u8 = 39;

fn stage_colour(event: &Event) -> u8 {
    match (event.is_error(), event.status.as_deref()) {
        (true, _) => RED,
        (_, Some("passed")) => GREEN,
        (_, Some("failed")) => YELLOW,
        _ => DEFAULT,
    }
}

/// Returns a colour for an id, from those that are readable on dark and light backgrounds.
fn id_colour(id: &str) -> u8 {
    const COLOURS: [u8; 8] = [34, 35, 36, 94, 95, 96, 92, 93];
    let sum = id.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    COLOURS[sum as usize % COLOURS.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Timestamp;

    fn event() -> Event {
        Event {
            time: Timestamp(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(3_661_001)),
            stage: "judged".to_owned(),
            id: "k97\x1b[2Jabcdefghijklmnop".to_owned(),
            generation: 2,
            language: Some(71),
            status: Some("failed".to_owned()),
            passed: Some(3),
            total: Some(10),
            reason: Some("Wrong \x1b]0;x\x07answer".to_owned()),
            duration_ms: Some(812),
            gap_ms: Some(1_500),
            times: Some(2),
            instance: Some("judge\u{9b}1".to_owned()),
            output: Some("a\u{1b}[31m\nb".to_owned()),
            headers: vec![("x".to_owned(), "\r\ny".to_owned())],
            ..Event::default()
        }
    }

    fn shown(format: &str, colours: bool) -> String {
        let mut out = Vec::new();
        Show::new(&mut out, Format::parse(format).unwrap(), colours).event(&event()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn pretty_line_is_complete_and_escaped() {
        let wanted = "01:01:01.001   +1.50s judged    k97\\u{1b}[2…mnop.2 Python     failed 3/10 \
                      \"Wrong \\u{1b}]0;x\\u{7}answer\" 812ms (seen 2 times) by judge\\u{9b}1\n    x: \\r\\ny\n    \
                      | a\\u{1b}[31m\n    | b\n";
        assert_eq!(shown("pretty", false), wanted);
    }

    #[test]
    fn colours_come_from_gavel_only() {
        let coloured = shown("pretty", true);
        let mut rest = coloured.as_str();
        while let Some(at) = rest.find('\x1b') {
            rest = &rest[at..];
            let end = rest.find('m').unwrap();
            assert!(rest[2..end].parse::<u8>().is_ok(), "{coloured:?}");
            rest = &rest[end..];
        }
    }

    #[test]
    fn json_and_templates_print_lines() {
        let json: Value = serde_json::from_str(&shown("jsonl", true)).unwrap();
        assert_eq!((&json["status"], &json["passed"]), (&"failed".into(), &3.into()));
        let line = shown("template={stage} {{x}} {shortId}: {reason} {question}.", false);
        assert_eq!(line, "judged {x}} k97\\u{1b}[2…mnop.2: Wrong \\u{1b}]0;x\\u{7}answer .\n");
        for wrong in ["xml", "template={nothing}", "template={stage"] {
            assert!(Format::parse(wrong).is_err(), "{wrong}");
        }
    }
}
