//! Checks of NATS and of the services that are connected to it.

use gavel_describe::finding;

use super::Finding;
use crate::session::NatsOptions;

pub(super) async fn check(nats: &NatsOptions) -> Vec<Finding> {
    match nats.inspector("doctor", "ops").await {
        Ok(inspector) => finding::nats::check(&inspector).await,
        Err(error) => {
            let remedy = error
                .remedy
                .unwrap_or_else(|| "Correct the variables as described in deploy/default.env.".to_owned());
            vec![Finding::bad("NATS", error.message, remedy)]
        }
    }
}
