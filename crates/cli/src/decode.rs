//! `gavel decode`: prints one payload as text, for `nats sub --translate` and pipes.

use std::io::Read as _;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;
use gavel_inspect::Message;

use crate::event::{Reading, UNDECODABLE};
use crate::{exit, output};

/// The largest payload that is read: the server accepts none that is larger.
const MAX_BYTES: u64 = 64 << 20;

/// Decode a message payload from standard input
///
/// If it cannot be decoded, the first bytes are printed in hexadecimal.
#[derive(Args)]
#[command(
    after_long_help = "With the nats command:\n  nats sub 'submission.>' --translate 'gavel decode --subject {{Subject}}'\n\n\
    Exit codes:\n  0   decoded\n  64  invalid arguments\n  65  the payload cannot be decoded"
)]
pub(crate) struct Arguments {
    /// Subject of the message
    #[arg(long, env = "NATS_SUBJECT", required_unless_present = "schema")]
    subject: Option<String>,
    /// Schema of the payload, as in the Gavel-Schema header: gavel.v1.Judged, or judged
    #[arg(long, env = "GAVEL_SCHEMA")]
    schema: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print source code, and the output of programs and compilers
    #[arg(long)]
    show_source: bool,
}

/// Decodes and prints it.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let mut payload = Vec::new();
    if let Err(error) = std::io::stdin().lock().take(MAX_BYTES).read_to_end(&mut payload) {
        eprintln!("gavel decode: cannot read standard input: {error}");
        return ExitCode::from(exit::INVALID_DATA);
    }
    let subject = match (&arguments.schema, &arguments.subject) {
        (Some(schema), subject) => {
            let event = schema.rsplit('.').next().unwrap_or_default().to_lowercase();
            let key =
                subject.as_deref().and_then(|subject| subject.splitn(3, '.').nth(2)).unwrap_or_default();
            format!("submission.{event}.{key}")
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
        let parts = [event.stage.clone(), event.short_id(), language, event.summary()];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        println!("{}", parts.join(" "));
        for text in [&event.source, &event.output].into_iter().flatten() {
            println!("{}", output::escape_lines(text));
        }
    }
    if event.stage == UNDECODABLE { ExitCode::from(exit::INVALID_DATA) } else { ExitCode::SUCCESS }
}
