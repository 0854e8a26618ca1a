//! For each field of a stream's or consumer's configuration: which values will do, and how it can be changed.
//!
//! The names are those of the server's JSON. A field without a rule, of a later server, is left as it is.
//! What can be changed is as nats-server 2.15 does it; tests try it.

use serde::Deserialize;

/// Which values will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fits {
    /// The wanted one.
    Equal,
    /// A list with everything that the wanted one has: a later version may have added the rest.
    Contains,
    /// The wanted one or a larger one. Zero and less mean that there is no limit.
    AtLeast,
    /// The wanted one or a larger one, where zero is the smallest.
    NotLess,
    /// Any: the pipeline does not depend on it, or an operator chooses it with other tools.
    Any,
}

/// How the field of an existing stream or consumer can be changed so that all messages stay.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    /// To any value.
    Free,
    /// Not at all: nats-server refuses.
    Refused,
    /// From false to true: nats-server refuses the other direction.
    OnlyOn,
    /// To a larger value: a smaller one keeps fewer copies.
    OnlyUp,
    /// To a value that the stream does not exceed: nats-server deletes the messages beyond it, or accepts no others.
    Limit(fn(&StreamState) -> u64),
}

/// The contents of a stream.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct StreamState {
    messages: u64,
    bytes: u64,
    #[serde(default)]
    num_subjects: u64,
}

impl StreamState {
    /// How many messages one subject has, at most.
    fn messages_per_subject(&self) -> u64 {
        self.messages.saturating_sub(self.num_subjects.saturating_sub(1))
    }
}

/// The rule of one field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) field: &'static str,
    pub(super) fits: Fits,
    pub(super) change: Change,
    /// Whether operators choose it in the environment, so that only they know what is wanted.
    pub(super) is_chosen: bool,
}

const fn rule(field: &'static str, fits: Fits, change: Change) -> Rule {
    Rule { field, fits, change, is_chosen: false }
}

const fn chosen(field: &'static str, change: Change) -> Rule {
    Rule { field, fits: Fits::Equal, change, is_chosen: true }
}

const fn any(field: &'static str) -> Rule {
    rule(field, Fits::Any, Change::Free)
}

/// The fields of streams.
pub(super) const STREAM: &[Rule] = &[
    any("name"),
    any("description"),
    rule("subjects", Fits::Contains, Change::Free),
    rule("retention", Fits::Equal, Change::Refused),
    rule("storage", Fits::Equal, Change::Refused),
    // With "async", a message is acknowledged before it is stored.
    rule("persist_mode", Fits::Equal, Change::Refused),
    rule("max_age", Fits::AtLeast, Change::Free),
    chosen("max_bytes", Change::Limit(|state| state.bytes)),
    rule("max_msgs", Fits::Equal, Change::Limit(|state| state.messages)),
    rule("max_msgs_per_subject", Fits::Equal, Change::Limit(StreamState::messages_per_subject)),
    rule("max_msg_size", Fits::AtLeast, Change::Free),
    rule("max_consumers", Fits::AtLeast, Change::Free),
    rule("discard", Fits::Equal, Change::Free),
    rule("discard_new_per_subject", Fits::Equal, Change::Free),
    rule("duplicate_window", Fits::NotLess, Change::Free),
    chosen("num_replicas", Change::OnlyUp),
    rule("no_ack", Fits::Equal, Change::Free),
    rule("sealed", Fits::Equal, Change::Refused),
    rule("deny_delete", Fits::Equal, Change::OnlyOn),
    rule("deny_purge", Fits::Equal, Change::OnlyOn),
    rule("allow_direct", Fits::Equal, Change::Free),
    rule("allow_msg_ttl", Fits::Equal, Change::OnlyOn),
    // A publisher could delete messages with it.
    rule("allow_rollup_hdrs", Fits::Equal, Change::Free),
    // These store or change messages that no service publishes.
    rule("mirror", Fits::Equal, Change::Refused),
    rule("sources", Fits::Equal, Change::Free),
    rule("subject_transform", Fits::Equal, Change::Free),
    rule("subject_delete_marker_ttl", Fits::Equal, Change::Free),
    rule("allow_msg_counter", Fits::Equal, Change::Refused),
    rule("consumer_limits", Fits::Equal, Change::Free),
    any("allow_atomic"),
    any("allow_batched"),
    any("allow_msg_schedules"),
    any("compression"),
    any("first_seq"),
    any("metadata"),
    any("mirror_direct"),
    any("placement"),
    any("republish"),
    any("template_owner"),
];

/// The fields of consumers.
pub(super) const CONSUMER: &[Rule] = &[
    any("name"),
    any("durable_name"),
    any("description"),
    rule("ack_policy", Fits::Equal, Change::Refused),
    rule("deliver_policy", Fits::Equal, Change::Refused),
    rule("replay_policy", Fits::Equal, Change::Refused),
    // With one, it is a push consumer.
    rule("deliver_subject", Fits::Equal, Change::Refused),
    rule("filter_subject", Fits::Equal, Change::Free),
    rule("filter_subjects", Fits::Equal, Change::Free),
    chosen("ack_wait", Change::Free),
    // Replaces ack_wait.
    rule("backoff", Fits::Equal, Change::Free),
    rule("max_deliver", Fits::AtLeast, Change::Free),
    rule("max_ack_pending", Fits::AtLeast, Change::Free),
    rule("max_waiting", Fits::AtLeast, Change::Refused),
    rule("max_batch", Fits::AtLeast, Change::Free),
    rule("max_bytes", Fits::AtLeast, Change::Free),
    rule("max_expires", Fits::AtLeast, Change::Free),
    rule("inactive_threshold", Fits::AtLeast, Change::Free),
    rule("headers_only", Fits::Equal, Change::Free),
    // Requests without a group, as services send them, are refused.
    rule("priority_policy", Fits::Equal, Change::Free),
    rule("priority_groups", Fits::Equal, Change::Free),
    rule("mem_storage", Fits::Equal, Change::Refused),
    any("deliver_group"),
    any("flow_control"),
    any("idle_heartbeat"),
    any("metadata"),
    any("num_replicas"),
    any("opt_start_seq"),
    any("opt_start_time"),
    any("pause_until"),
    any("priority_timeout"),
    any("rate_limit_bps"),
    any("sample_freq"),
];
