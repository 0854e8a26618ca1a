//! An event in a few words.

use gavel_domain::{LanguageId, catalogue};

use super::{Attempt, Event, UNDECODABLE};
use crate::text::{escape_control, first_line};
use crate::time::format_millis;

impl Event {
    /// The id of the submission, shortened for a line. `--id` accepts it in this form.
    #[must_use]
    pub fn short_id(&self) -> String {
        let chars: Vec<char> = self.id.chars().collect();
        let id = if chars.len() > 16 {
            let (head, tail) = (&chars[..6], &chars[chars.len() - 4..]);
            format!("{}…{}", head.iter().collect::<String>(), tail.iter().collect::<String>())
        } else {
            self.id.clone()
        };
        let id = escape_control(&id);
        if self.generation > 1 { format!("{id}.{}", self.generation) } else { id }
    }

    /// The details of the event: `failed 3/10 "Wrong answer" 812ms`.
    pub fn summary(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        if let Some(status) = &self.status {
            words.push(escape_control(status));
        }
        if let Some((passed, total)) = self.passed.zip(self.total) {
            words.push(format!("{passed}/{total}"));
        }
        if let Some(stage) = &self.failed_stage {
            words.push(format!("at the {}:", escape_control(stage)));
        }
        if let Some(stage) = &self.from {
            words.push(format!("from the {}:", escape_control(stage)));
        }
        if let Some(reason) = self.reason.as_deref().filter(|_| self.status.as_deref() != Some("passed")) {
            words.push(format!("{:?}", first_line(reason, 100)).replace("\\\\", "\\"));
        }
        if let Some(bytes) = self.source_bytes {
            let digest = self.source_sha256.as_deref().unwrap_or_default();
            words.push(format!("{bytes} B, sha256 {}", escape_control(digest.get(..8).unwrap_or(digest))));
        }
        if let Some(ms) = self.duration_ms {
            words.push(format_millis(ms));
        }
        if self.stage == UNDECODABLE {
            let head = self.head.as_deref().unwrap_or_default();
            words.push(format!(
                "{} on {}, {} B: {head}",
                UNDECODABLE,
                escape_control(&self.subject),
                self.bytes
            ));
        }
        if let Some(attempts) = self.attempts.filter(|&attempts| attempts > 1) {
            words.push(format!("after {attempts} deliveries"));
        }
        // A single attempt has succeeded, so it needs no mention.
        let results = self.callback_attempts.iter().filter(|attempt| attempt.kind == "result");
        let answers: Vec<_> = results.map(Attempt::answer).collect();
        if answers.len() > 1 {
            words.push(format!("Convex answered {}", answers.join(", ")));
        }
        if let Some(times) = self.times {
            words.push(format!("(seen {times} times)"));
        }
        if let Some(instance) = &self.instance {
            words.push(format!("by {}", escape_control(instance)));
        }
        if let Some(judge) = &self.handed_on_by {
            words.push(format!("handed on by {}", escape_control(judge)));
        }
        words.join(" ")
    }
}

impl Event {
    /// Returns the name of a language with its id, such as "Swift (83)".
    #[must_use]
    pub fn language_with_id(id: u32) -> String {
        catalogue::label(LanguageId(id))
            .map_or_else(|| format!("language {id}"), |label| format!("{label} ({id})"))
    }

    /// Returns the name of a language by its Judge0 id.
    pub fn language_name(id: u32) -> String {
        catalogue::label(LanguageId(id)).map_or_else(|| format!("#{id}"), str::to_owned)
    }
}
