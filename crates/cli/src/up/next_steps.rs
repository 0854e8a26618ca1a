//! What `gavel up` prints on a terminal once all services are ready: the addresses, and commands to copy.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};

/// Answers the sample question `sum`.
const SAMPLE_PROGRAM: &str = "print(sum(map(int, input().split())))";
/// Where commands look for the ingress and for NATS by default.
const DEFAULT_INGRESS: &str = "http://127.0.0.1:4001";
const DEFAULT_NATS: &str = "nats://127.0.0.1:4222";

pub(super) struct NextSteps {
    pub(super) ingress: SocketAddr,
    /// Whether a submission needs a key.
    pub(super) has_keys: bool,
    /// The server that this process owns.
    pub(super) own_nats: Option<String>,
    pub(super) mock_convex: Option<String>,
    pub(super) console: Option<SocketAddr>,
}

impl NextSteps {
    /// `program` is the path that this program was started with.
    pub(super) fn text(&self, program: &str) -> String {
        let mut address = self.ingress;
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        let ingress = format!("http://{address}");
        let nats = self.own_nats.as_ref().filter(|url| *url != DEFAULT_NATS);
        let nats = nats.map_or_else(String::new, |url| format!(" --nats {url}"));
        let key = if self.has_keys { "INGRESS_KEY=… " } else { "" };
        let (before, file, question) = match &self.mock_convex {
            Some(_) => (format!("echo '{SAMPLE_PROGRAM}' > sum.py\n  "), "sum.py", "sum"),
            None => (String::new(), "FILE", "QUESTION_ID"),
        };
        let option = if ingress == DEFAULT_INGRESS { String::new() } else { format!(" --ingress {ingress}") };
        let mut text = format!(
            "\nGavel is ready: {ingress}/v1/judge-question\n\nSubmit a program from another terminal:\n  \
             {before}{key}{program} submit {file} --question {question}{option}{nats}\n\
             Watch submissions:\n  {program} tap{nats}\n"
        );
        if let Some(url) = &self.mock_convex {
            let _ = writeln!(text, "See sample questions and results in mock Convex:\n  {url}");
        }
        if let Some(address) = &self.console {
            let _ = writeln!(text, "Watch the pipeline in a browser:\n  http://{address}/");
        }
        text + "\nPress Ctrl-C to stop.\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_name_addresses_only_if_they_are_not_the_defaults() {
        let mut steps = NextSteps {
            ingress: "127.0.0.1:4001".parse().unwrap(),
            has_keys: false,
            own_nats: Some(DEFAULT_NATS.to_owned()),
            mock_convex: Some("http://127.0.0.1:4005".to_owned()),
            console: Some("127.0.0.1:4006".parse().unwrap()),
        };
        let text = steps.text("gavel");
        assert!(text.contains("\n  gavel submit sum.py --question sum\n"), "{text}");
        assert!(text.contains("\n  gavel tap\n") && text.contains("\n  http://127.0.0.1:4005\n"), "{text}");
        assert!(text.contains("\n  http://127.0.0.1:4006/\n"), "{text}");
        steps.ingress = "127.0.0.1:5001".parse().unwrap();
        steps.own_nats = Some("nats://127.0.0.1:5222".to_owned());
        (steps.has_keys, steps.mock_convex) = (true, None);
        let text = steps.text("bin/gavel");
        let submit = "\n  INGRESS_KEY=… bin/gavel submit FILE --question QUESTION_ID --ingress http://127.0.0.1:5001 \
                      --nats nats://127.0.0.1:5222\n";
        assert!(text.contains(submit), "{text}");
    }
}
