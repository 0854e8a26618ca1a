//! The client, and the one way in which every call is made.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gavel_domain::LanguageId;
use gavel_telemetry::trace::traceparent;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client as Http, Method, RequestBuilder, Response, StatusCode, Url, redirect};
use serde_json::Value;

use crate::call::{CallError, measured};
use crate::limits::Limits;
use crate::post::{Batch, Entry, Posted};
use crate::report::Report;

/// The largest answer that is read. A batch of 20 tests that each fill both streams up to Judge0's usual 1 MiB
/// comes to 56 MB in base64.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// How much of a refusal is told.
const MAX_REFUSAL_BYTES: usize = 300;
/// The path of what is asked about submissions, for figures.
const BATCH: &str = "/submissions/batch";
/// What a poll asks for: all that an outcome is made of, and not the program and its input once more.
const FIELDS: &str =
    "token,status,status_id,stdout,stderr,compile_output,message,time,wall_time,memory,exit_code,exit_signal";

/// Where Judge0 is, and how it is used.
#[derive(Clone)]
pub struct Judge0Config {
    /// Its URL, such as `http://localhost:2358`; a trailing slash is tolerated.
    pub base_url: String,
    /// Sent as `X-Auth-Token`.
    pub api_key: Option<String>,
    /// Sent with each call: name and value.
    pub headers: Vec<(String, String)>,
    /// How long a call may take, from connecting to the end of the answer.
    pub timeout: Duration,
    /// How many tests of a submission are sent ahead of the one whose turn it is.
    pub window: usize,
}

impl fmt::Debug for Judge0Config {
    /// Without the key and the values of headers.
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

/// A configuration that can never work. It never repeats a key or a header's value.
#[derive(Debug, thiserror::Error)]
pub enum InvalidConfig {
    /// Not an absolute http(s) URL, or one with more behind its path, or with a user or a password.
    #[error("JUDGE0_BASE_URL must be a URL such as http://localhost:2358, without a user or a password")]
    Url,
    /// Not visible ASCII.
    #[error("JUDGE0_API_KEY cannot be sent in a header")]
    ApiKey,
    /// A name that is none, or a value that cannot be sent.
    #[error("JUDGE0_HEADERS: {name:?} is not a header, or its value cannot be sent")]
    Header {
        /// The name as given.
        name: String,
    },
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
}

/// Judge0's HTTP API, as far as it is used here. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    http: Http,
    base: String,
}

impl Client {
    /// A client for one Judge0.
    ///
    /// # Errors
    /// [`InvalidConfig`].
    pub fn new(config: &Judge0Config) -> Result<Self, InvalidConfig> {
        let url = Url::parse(&config.base_url).map_err(|_| InvalidConfig::Url)?;
        let is_plain = url.query().is_none() && url.fragment().is_none();
        // The URL is logged: what is secret goes into headers.
        let has_secret = !url.username().is_empty() || url.password().is_some();
        if !matches!(url.scheme(), "http" | "https") || !is_plain || has_secret {
            return Err(InvalidConfig::Url);
        }
        let http = Http::builder()
            .user_agent(concat!("gavel/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers(config)?)
            .timeout(config.timeout)
            .connect_timeout(config.timeout.min(Duration::from_secs(5)))
            // A redirect would carry a program to wherever it points.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(InvalidConfig::Client)?;
        Ok(Self { http, base: url.as_str().trim_end_matches('/').to_owned() })
    }

    /// Judge0's limits, from `GET /config_info`.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn limits(&self) -> Result<Limits, CallError> {
        let (status, answer) =
            measured("GET", "/config_info", self.json(self.request(Method::GET, "/config_info"))).await?;
        Limits::read(&answer).ok_or_else(|| garbled(status, "no configuration in it"))?
    }

    /// The languages that it takes, with its names for them, from `GET /languages`.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn languages(&self) -> Result<Vec<(LanguageId, String)>, CallError> {
        let (status, answer) = self.json(self.request(Method::GET, "/languages")).await?;
        let language = |entry: &Value| {
            let id = u32::try_from(entry.get("id")?.as_u64()?).ok()?;
            Some((LanguageId(id), short(entry.get("name")?.as_str()?)))
        };
        let languages = answer.as_array().and_then(|list| list.iter().map(language).collect());
        languages.ok_or_else(|| garbled(status, "no list of languages in it"))
    }

    /// Sends programs with their inputs, at most as many as a batch may have; the answers are in their order.
    ///
    /// # Errors
    /// [`CallError`]. After [`CallError::NoAnswer`] Judge0 may have taken them; nobody will ask for them.
    pub async fn submit(&self, entries: &[Entry<'_>]) -> Result<Vec<Posted>, CallError> {
        let request = self.request(Method::POST, "/submissions/batch?base64_encoded=true");
        let call = self.json(request.json(&Batch { submissions: entries }));
        let (status, answer) = measured("POST", BATCH, call).await?;
        let posted: Vec<Posted> = match &answer {
            Value::Array(answers) => answers.iter().map(Posted::read).collect(),
            _ => return Err(garbled(status, "no list of tokens in it")),
        };
        if posted.len() != entries.len() {
            return Err(garbled(status, "as many answers as submissions were expected"));
        }
        Ok(posted)
    }

    /// Looks at submissions, at most as many as a batch may have. In their order: what Judge0 says of each, or
    /// nothing where it does not know the token (any more).
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn look(&self, tokens: &[&str]) -> Result<Vec<Option<Report>>, CallError> {
        let path =
            format!("/submissions/batch?tokens={}&base64_encoded=true&fields={FIELDS}", tokens.join(","));
        let (status, answer) = measured("GET", BATCH, self.json(self.request(Method::GET, &path))).await?;
        let reports = answer.get("submissions").and_then(Value::as_array);
        let reports = reports.filter(|reports| reports.len() == tokens.len());
        let reports =
            reports.ok_or_else(|| garbled(status, "as many submissions as tokens were expected"))?;
        let read =
            |(report, token): (&Value, &&str)| (!report.is_null()).then(|| Report::read(report, token));
        Ok(reports.iter().zip(tokens).map(read).collect())
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Makes a call. The refusal of each entry of a batch (422 with a list) is an answer, too.
    async fn json(&self, request: RequestBuilder) -> Result<(u16, Value), CallError> {
        let request = match traceparent() {
            Some(traceparent) => request.header("traceparent", traceparent),
            None => request,
        };
        let response = request.send().await.map_err(CallError::of)?;
        let status = response.status();
        let retry_after = retry_after(&response);
        let is_page = is_page(&response);
        if matches!(status.as_u16(), 401 | 403) {
            return Err(CallError::Denied { status: status.as_u16() });
        }
        let body = read(response).await?;
        let answer = serde_json::from_slice::<Value>(&body).map_err(|error| (error.is_eof(), is_page));
        match (status, answer) {
            (status, Ok(answer)) if status.is_success() || is_list_of_refusals(status, &answer) => {
                Ok((status.as_u16(), answer))
            }
            (StatusCode::TOO_MANY_REQUESTS, answer) => Err(CallError::Busy {
                status: 429,
                retry_after,
                text: answer.ok().and_then(|it| error_of(&it)),
            }),
            // Judge0 says so in JSON; a page says that what is in front of it cannot reach it.
            (StatusCode::SERVICE_UNAVAILABLE, Ok(answer)) => {
                Err(CallError::Busy { status: 503, retry_after, text: error_of(&answer) })
            }
            (status @ (StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY), Ok(answer)) => {
                let text = error_of(&answer).unwrap_or_else(|| short(&answer.to_string()));
                Err(CallError::Refused { status: status.as_u16(), text })
            }
            (StatusCode::PAYLOAD_TOO_LARGE, _) => Err(CallError::Refused {
                status: 413,
                text: "the program and its inputs are too large".to_owned(),
            }),
            (status, Err((is_eof, is_page))) if status.is_success() => {
                let text = if is_page {
                    "a page"
                } else if is_eof {
                    "half of an answer"
                } else {
                    "no JSON"
                };
                Err(garbled(status.as_u16(), text))
            }
            (status, _) => Err(CallError::Failed { status: status.as_u16() }),
        }
    }
}

fn headers(config: &Judge0Config) -> Result<HeaderMap, InvalidConfig> {
    let mut headers = HeaderMap::new();
    for (name, value) in &config.headers {
        let invalid = || InvalidConfig::Header { name: name.clone() };
        let header: HeaderName = name.parse().map_err(|_| invalid())?;
        headers.insert(header, secret(value).ok_or_else(invalid)?);
    }
    if let Some(key) = &config.api_key {
        headers.insert(HeaderName::from_static("x-auth-token"), secret(key).ok_or(InvalidConfig::ApiKey)?);
    }
    Ok(headers)
}

fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn garbled(status: u16, text: &str) -> CallError {
    CallError::Garbled { status, text: text.to_owned() }
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn is_page(response: &Response) -> bool {
    let media = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media.is_some_and(|media| media.trim_start().to_ascii_lowercase().starts_with("text/html"))
}

/// Where all entries of a batch are invalid, the answer is 422 with each one's errors in its place.
fn is_list_of_refusals(status: StatusCode, answer: &Value) -> bool {
    status == StatusCode::UNPROCESSABLE_ENTITY && answer.is_array()
}

fn error_of(answer: &Value) -> Option<String> {
    answer.get("error").and_then(Value::as_str).map(short)
}

fn short(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_REFUSAL_BYTES)].to_owned()
}

async fn read(mut response: Response) -> Result<Bytes, CallError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(CallError::of)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(CallError::TooLarge { max_bytes: MAX_ANSWER_BYTES });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
