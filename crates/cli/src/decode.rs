//! `gavel decode`: one payload in words, for `nats sub --translate` and pipes.

use std::io::Read as _;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;
use gavel_inspect::Message;

use crate::event::{Reading, UNDECODABLE};
use crate::{exit, output};

/// The largest payload that is read; the server takes none that is larger.
const MOST_BYTES: u64 = 64 << 20;

/// Decodes a payload on standard input.
///
/// With the nats command: nats sub 'submission.>' --translate 'gavel decode --subject {{Subject}}'. Exit codes:
/// 0, 64 wrong use, 65 what cannot be decoded; how it begins is shown then.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The subject that it came on.
    #[arg(long, env = "NATS_SUBJECT", required_unless_present = "schema")]
    subject: Option<String>,
    /// Its schema, as the Gavel-Schema header has it: gavel.v1.Judged, or judged.
    #[arg(long, env = "GAVEL_SCHEMA")]
    schema: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Show sources, and what programs and compilers said.
    #[arg(long)]
    show_source: bool,
}

/// Decodes.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let mut payload = Vec::new();
    if let Err(error) = std::io::stdin().lock().take(MOST_BYTES).read_to_end(&mut payload) {
        eprintln!("gavel decode: cannot read standard input: {error}");
        return ExitCode::from(exit::INVALID_DATA);
    }
    let subject = match (&arguments.schema, &arguments.subject) {
        (Some(schema), subject) => {
            let word = schema.rsplit('.').next().unwrap_or_default().to_lowercase();
            let key =
                subject.as_deref().and_then(|subject| subject.splitn(3, '.').nth(2)).unwrap_or_default();
            format!("submission.{word}.{key}")
        }
        (None, subject) => subject.clone().unwrap_or_default(),
    };
    let message = Message {
        at: SystemTime::now(),
        subject,
        headers: Vec::new(),
        payload: payload.into(),
        sequence: None,
    };
    let event = Reading { source: arguments.show_source, headers: false }.read(&message);
    if arguments.json {
        println!("{}", output::json_line(&event));
    } else {
        let language = event.language.map_or_else(String::new, crate::event::Event::language_name);
        let words = [event.stage.clone(), event.short_id(), language, event.says()];
        let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
        println!("{}", words.join(" "));
        for said in [&event.source, &event.output].into_iter().flatten() {
            println!("{}", said.lines().map(output::escape_control).collect::<Vec<_>>().join("\n"));
        }
    }
    if event.stage == UNDECODABLE { ExitCode::from(exit::INVALID_DATA) } else { ExitCode::SUCCESS }
}
