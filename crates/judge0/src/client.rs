//! The HTTP client for Judge0's API.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gavel_domain::LanguageId;
use gavel_telemetry::trace::traceparent;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client as Http, Method, RequestBuilder, Response, StatusCode, Url, redirect};
use serde_json::Value;

use crate::call::{Judge0Error, measured};
use crate::limits::Judge0Limits;
use crate::post::{Batch, BatchEntry, EntryResult};
use crate::report::Judge0Report;
use crate::workers::Workers;

/// The size limit of an answer. A batch of 20 tests that each fill both streams up to Judge0's default of 1 MiB takes
/// 56 MB in base64.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// The size limit of an error message that is passed on.
const MAX_MESSAGE_BYTES: usize = 300;
/// The path of the batch endpoint, as the label value in metrics.
const BATCH_ENDPOINT: &str = "/submissions/batch";
/// The fields that a poll requests: those that the outcome depends on, without the program and its input.
const FIELDS: &str =
    "token,status,status_id,stdout,stderr,compile_output,message,time,wall_time,memory,exit_code,exit_signal";

/// The address of Judge0 and how to use it.
#[derive(Clone)]
pub struct Judge0Config {
    /// The base URL, such as `http://localhost:2358`. A trailing slash is ignored.
    pub base_url: String,
    /// The API key, sent as `X-Auth-Token`.
    pub api_key: Option<String>,
    /// Headers to send with each call, as name and value.
    pub headers: Vec<(String, String)>,
    /// The timeout of a call, from connecting to the end of the answer.
    pub timeout: Duration,
    /// How many tests of a submission are sent ahead of the current one.
    pub window: usize,
}

impl fmt::Debug for Judge0Config {
    /// Omits the key and the values of headers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Judge0Config")
            .field("base_url", &self.base_url)
            .field("has_api_key", &self.api_key.is_some())
            .field("headers", &headers)
            .field("timeout", &self.timeout)
            .field("window", &self.window)
            .finish()
    }
}

/// Why a configuration is invalid. The text never contains a key or the value of a header.
#[derive(Debug, thiserror::Error)]
pub enum InvalidJudge0Config {
    /// Not an absolute HTTP URL, or a URL with a query, a fragment, a user or a password.
    #[error("JUDGE0_BASE_URL must be a URL such as http://localhost:2358, without user, password or query")]
    Url,
    /// The key is not visible ASCII.
    #[error("JUDGE0_API_KEY is not a valid header value")]
    ApiKey,
    /// The name or the value of a header is invalid.
    #[error("JUDGE0_HEADERS: the name or the value of the header {name:?} is not valid")]
    Header {
        /// The name of the header.
        name: String,
    },
    /// The HTTP client cannot be created.
    #[error("cannot create the HTTP client")]
    Client(#[source] reqwest::Error),
}

/// The client for Judge0's HTTP API. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Judge0Client {
    http: Http,
    base: String,
}

impl Judge0Client {
    /// Creates a client for one Judge0.
    ///
    /// # Errors
    /// Returns an error if the configuration is invalid.
    pub fn new(config: &Judge0Config) -> Result<Self, InvalidJudge0Config> {
        let url = Url::parse(&config.base_url).map_err(|_| InvalidJudge0Config::Url)?;
        let is_plain = url.query().is_none() && url.fragment().is_none();
        // The URL is logged, so that secrets belong into headers.
        let has_secret = !url.username().is_empty() || url.password().is_some();
        if !matches!(url.scheme(), "http" | "https") || !is_plain || has_secret {
            return Err(InvalidJudge0Config::Url);
        }
        let http = gavel_http::client()
            .user_agent(concat!("gavel/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers(config)?)
            .timeout(config.timeout)
            .connect_timeout(config.timeout.min(Duration::from_secs(5)))
            // Only the client for Convex decompresses: what Judge0 returns is limited in bytes on the wire.
            .no_gzip()
            // A redirect would send programs to another server.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(InvalidJudge0Config::Client)?;
        Ok(Self { http, base: url.as_str().trim_end_matches('/').to_owned() })
    }

    /// Reads Judge0's limits with `GET /config_info`.
    ///
    /// # Errors
    /// Returns an error if the call fails, the answer is not Judge0's configuration, or batches are disabled.
    pub async fn limits(&self) -> Result<Judge0Limits, Judge0Error> {
        let (status, answer) =
            measured("GET", "/config_info", self.json(self.request(Method::GET, "/config_info"))).await?;
        Judge0Limits::read(&answer).ok_or_else(|| unreadable(status, "not a configuration"))?
    }

    /// Reads the languages that Judge0 offers, with its names for them, with `GET /languages`.
    ///
    /// # Errors
    /// Returns an error if the call fails or the answer is not a list of languages.
    pub async fn languages(&self) -> Result<Vec<(LanguageId, String)>, Judge0Error> {
        let (status, answer) = self.json(self.request(Method::GET, "/languages")).await?;
        let language = |entry: &Value| {
            let id = u32::try_from(entry.get("id")?.as_u64()?).ok()?;
            Some((LanguageId(id), short(entry.get("name")?.as_str()?)))
        };
        let languages = answer.as_array().and_then(|list| list.iter().map(language).collect());
        languages.ok_or_else(|| unreadable(status, "not a list of languages"))
    }

    /// Submits a batch of at most [`Judge0Limits::max_batch`] entries. The answers are in the same order.
    ///
    /// # Errors
    /// Returns an error if the call fails or the answer is not a list of that length. After [`Judge0Error::NoAnswer`]
    /// Judge0 may have queued the batch; its results are never fetched.
    pub async fn submit(&self, entries: &[BatchEntry<'_>]) -> Result<Vec<EntryResult>, Judge0Error> {
        let request = self.request(Method::POST, "/submissions/batch?base64_encoded=true");
        let call = self.json(request.json(&Batch { submissions: entries }));
        let (status, answer) = measured("POST", BATCH_ENDPOINT, call).await?;
        let posted: Vec<EntryResult> = match &answer {
            Value::Array(answers) => answers.iter().map(EntryResult::read).collect(),
            _ => return Err(unreadable(status, "not a list of tokens")),
        };
        if posted.len() != entries.len() {
            return Err(unreadable(status, "the number of answers differs from the number of submissions"));
        }
        Ok(posted)
    }

    /// Reads the reports on at most [`Judge0Limits::max_batch`] submissions, in the same order. A report is `None` if Judge0
    /// does not know the token, or no longer knows it.
    ///
    /// # Errors
    /// Returns an error if the call fails or the answer is not a list of that length.
    pub async fn poll(&self, tokens: &[&str]) -> Result<Vec<Option<Judge0Report>>, Judge0Error> {
        let path =
            format!("/submissions/batch?tokens={}&base64_encoded=true&fields={FIELDS}", tokens.join(","));
        let (status, answer) =
            measured("GET", BATCH_ENDPOINT, self.json(self.request(Method::GET, &path))).await?;
        let reports = answer.get("submissions").and_then(Value::as_array);
        let reports = reports.filter(|reports| reports.len() == tokens.len());
        let reports = reports.ok_or_else(|| {
            unreadable(status, "the number of submissions differs from the number of tokens")
        })?;
        let read =
            |(report, token): (&Value, &&str)| (!report.is_null()).then(|| Judge0Report::read(report, token));
        Ok(reports.iter().zip(tokens).map(read).collect())
    }

    /// Reads the state of Judge0's queue and workers with `GET /workers`.
    ///
    /// # Errors
    /// Returns an error if the call fails or the answer is something else: a hosted Judge0 may not have the endpoint.
    pub async fn workers(&self) -> Result<Workers, Judge0Error> {
        let (status, answer) =
            measured("GET", "/workers", self.json(self.request(Method::GET, "/workers"))).await?;
        Workers::read(&answer).ok_or_else(|| unreadable(status, "not a list of workers"))
    }

    /// Deletes a submission with `DELETE /submissions/{token}`. One that does not exist counts as deleted.
    ///
    /// # Errors
    /// Returns an error if the call fails. [`Judge0Error::Denied`] means that the key does not authorize it, and
    /// [`Judge0Error::Rejected`] that the submission has not finished.
    pub async fn delete(&self, token: &str) -> Result<(), Judge0Error> {
        // Without `fields` the answer contains the program's output.
        let path = format!("/submissions/{token}?base64_encoded=true&fields=token");
        let call = async {
            match self.json(self.request(Method::DELETE, &path)).await {
                Ok(_) | Err(Judge0Error::Failed { status: 404 }) => Ok(()),
                Err(error) => Err(error),
            }
        };
        measured("DELETE", "/submissions", call).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Sends a request and parses the JSON answer. Some lists are an answer in spite of their status.
    async fn json(&self, request: RequestBuilder) -> Result<(u16, Value), Judge0Error> {
        let request = match traceparent() {
            Some(traceparent) => request.header("traceparent", traceparent),
            None => request,
        };
        let response = request.send().await.map_err(Judge0Error::from_reqwest)?;
        let status = response.status();
        let retry_after = retry_after(&response);
        let is_page = is_page(&response);
        if matches!(status.as_u16(), 401 | 403) {
            return Err(Judge0Error::Denied { status: status.as_u16() });
        }
        let body = read(response).await?;
        let answer = serde_json::from_slice::<Value>(&body).map_err(|error| (error.is_eof(), is_page));
        match (status, answer) {
            (status, Ok(answer)) if status.is_success() || is_list(status, &answer) => {
                Ok((status.as_u16(), answer))
            }
            (StatusCode::TOO_MANY_REQUESTS, answer) => Err(Judge0Error::Busy {
                status: 429,
                retry_after,
                text: answer.ok().and_then(|it| error_message(&it)),
            }),
            // Judge0 answers in JSON. An HTML page is from a proxy that cannot reach it.
            (StatusCode::SERVICE_UNAVAILABLE, Ok(answer)) => {
                Err(Judge0Error::Busy { status: 503, retry_after, text: error_message(&answer) })
            }
            (status @ (StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY), Ok(answer)) => {
                let text = error_message(&answer).unwrap_or_else(|| short(&answer.to_string()));
                Err(Judge0Error::Rejected { status: status.as_u16(), text })
            }
            (StatusCode::PAYLOAD_TOO_LARGE, _) => Err(Judge0Error::Rejected {
                status: 413,
                text: "the program and its inputs are too large".to_owned(),
            }),
            (status, Err((is_eof, is_page))) if status.is_success() => {
                let text = if is_page {
                    "an HTML page"
                } else if is_eof {
                    "truncated JSON"
                } else {
                    "not JSON"
                };
                Err(unreadable(status.as_u16(), text))
            }
            (status, _) => Err(Judge0Error::Failed { status: status.as_u16() }),
        }
    }
}

fn headers(config: &Judge0Config) -> Result<HeaderMap, InvalidJudge0Config> {
    let mut headers = HeaderMap::new();
    for (name, value) in &config.headers {
        let invalid = || InvalidJudge0Config::Header { name: name.clone() };
        let header: HeaderName = name.parse().map_err(|_| invalid())?;
        headers.insert(header, secret(value).ok_or_else(invalid)?);
    }
    if let Some(key) = &config.api_key {
        headers
            .insert(HeaderName::from_static("x-auth-token"), secret(key).ok_or(InvalidJudge0Config::ApiKey)?);
    }
    Ok(headers)
}

fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn unreadable(status: u16, text: &str) -> Judge0Error {
    Judge0Error::Unreadable { status, text: text.to_owned() }
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn is_page(response: &Response) -> bool {
    let media = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media.is_some_and(|media| media.trim_start().to_ascii_lowercase().starts_with("text/html"))
}

/// Whether the answer is a list whose status says something about its entries: 422 if each entry of a batch is invalid,
/// and in later versions of Judge0 500 if a worker is missing.
fn is_list(status: StatusCode, answer: &Value) -> bool {
    matches!(status, StatusCode::UNPROCESSABLE_ENTITY | StatusCode::INTERNAL_SERVER_ERROR)
        && answer.is_array()
}

fn error_message(answer: &Value) -> Option<String> {
    answer.get("error").and_then(Value::as_str).map(short)
}

fn short(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_MESSAGE_BYTES)].to_owned()
}

async fn read(mut response: Response) -> Result<Bytes, Judge0Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(Judge0Error::from_reqwest)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(Judge0Error::TooLarge { max_bytes: MAX_ANSWER_BYTES });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
