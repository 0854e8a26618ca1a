//! What an event says, in a few words.

use gavel_domain::{LanguageId, catalogue};

use super::{Call, Event, UNDECODABLE};
use crate::output::{escape_control, first_line};
use crate::time::format_millis;

impl Event {
    /// The submission's id, short enough for a line; `--id` takes it as it is shown.
    pub(crate) fn short_id(&self) -> String {
        let letters: Vec<char> = self.id.chars().collect();
        let id = if letters.len() > 16 {
            let (head, tail) = (&letters[..6], &letters[letters.len() - 4..]);
            format!("{}…{}", head.iter().collect::<String>(), tail.iter().collect::<String>())
        } else {
            self.id.clone()
        };
        let id = escape_control(&id);
        if self.generation > 1 { format!("{id}.{}", self.generation) } else { id }
    }

    /// What it says, beside its word: `failed 3/10 "Wrong answer" 812ms`.
    pub(crate) fn says(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        if let Some(status) = &self.status {
            words.push(escape_control(status));
        }
        if let Some((passed, total)) = self.passed.zip(self.total) {
            words.push(format!("{passed}/{total}"));
        }
        if let Some(stage) = &self.gave_up {
            words.push(format!("at the {}:", escape_control(stage)));
        }
        if let Some(stage) = &self.from {
            words.push(format!("from the {} on:", escape_control(stage)));
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
        // The calls of one kind that did not go at once; those that did need no word.
        let of_result: Vec<_> =
            self.calls.iter().filter(|call| call.of == "result").map(Call::answer).collect();
        if of_result.len() > 1 {
            words.push(format!("Convex answered {}", of_result.join(", ")));
        }
        if let Some(times) = self.times {
            words.push(format!("(seen {times} times)"));
        }
        if let Some(instance) = &self.instance {
            words.push(format!("by {}", escape_control(instance)));
        }
        words.join(" ")
    }
}

impl Event {
    /// What people call a language, by its Judge0 id.
    pub(crate) fn language_name(id: u32) -> String {
        catalogue::label(LanguageId(id)).map_or_else(|| format!("#{id}"), str::to_owned)
    }
}
