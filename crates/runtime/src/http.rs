//! The HTTP server of a service, and the metrics and spans of its requests.

pub(crate) mod connections;
pub(crate) mod descriptors;
pub(crate) mod measure;
pub(crate) mod server;
