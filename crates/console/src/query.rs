//! The parameters of requests.

use axum::http::Uri;
use gavel_describe::expression::Expression;
use gavel_describe::filter::Filter;
use gavel_describe::time::parse_duration;

use crate::error::ApiError;

/// The most parameters of a request.
const MAX_PARAMETERS: usize = 200;

/// The parameters of a request.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn of(uri: &Uri) -> Result<Self, ApiError> {
        let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        let pairs: Vec<_> = pairs.into_owned().filter(|(_, value)| !value.is_empty()).collect();
        if pairs.len() > MAX_PARAMETERS {
            return Err(ApiError::invalid("too many parameters"));
        }
        Ok(Self(pairs))
    }

    /// The value of a parameter; `None` if it is missing or empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter, which may also be separated by commas.
    fn list(&self, name: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(each, _)| each == name);
        values
            .flat_map(|(_, value)| value.split(','))
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
            .collect()
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1"))
    }

    /// A number up to `max`; `default` if it is missing.
    pub(crate) fn number(&self, name: &str, default: u64, max: u64) -> Result<u64, ApiError> {
        let Some(text) = self.get(name) else { return Ok(default) };
        let number =
            text.parse::<u64>().map_err(|_| ApiError::invalid(format!("{name}={text:?} is not a number")));
        Ok(number?.min(max))
    }

    /// The filter of the parameters, which have the names of the options of `gavel tap`.
    pub(crate) fn filter(&self) -> Result<Filter, ApiError> {
        let invalid = |name: &str, problem: String| ApiError::invalid(format!("{name}: {problem}"));
        let slow = self.get("slow").map(parse_duration).transpose();
        let condition = self.get("where").map(Expression::parse).transpose();
        Ok(Filter {
            id: self.list("id"),
            question: self.get("question").map(str::to_owned),
            stage: self.list("stage"),
            lang: self.list("lang"),
            status: self.list("status"),
            kind: self.get("kind").map(str::to_owned),
            errors: self.flag("errors"),
            slow: slow.map_err(|problem| invalid("slow", problem))?,
            condition: condition.map_err(|problem| invalid("where", problem))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_a_filter() {
        let uri = "/x?stage=queued,judged&stage=dead&lang=&slow=5s&errors=true&where=status%20%3D%3D%20failed&limit=9000";
        let query = Query::of(&uri.parse().unwrap()).unwrap();
        let filter = query.filter().unwrap();
        assert_eq!(filter.stage, ["queued", "judged", "dead"]);
        assert!(
            filter.lang.is_empty() && filter.errors && filter.slow.is_some() && filter.condition.is_some()
        );
        assert_eq!(query.number("limit", 100, 500).unwrap(), 500);
        for wrong in ["/x?slow=5", "/x?where=no", "/x?where=status%20%3D%3D"] {
            let query = Query::of(&wrong.parse().unwrap()).unwrap();
            assert!(query.filter().is_err(), "{wrong}");
        }
    }
}
