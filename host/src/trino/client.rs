//! Trino's client protocol: a statement is sent, then its pages are asked for, each by the
//! address that the one before it has. What is lost on the way is asked for again.
//!
//! The crate `trino-rust-client` was looked at: it cannot be told to cancel before the first
//! page is there nor without a runtime, says nothing of splits, follows addresses of other
//! hosts with the password, and brings time zones, regular expressions, a second TLS and a
//! program that opens browsers with it.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, RequestBuilder, StatusCode};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::answer::{Page, Stats};
use super::errors;
use crate::diagnostics::engine_error::{EngineError, EngineFault, EngineResult};
use crate::diagnostics::failure::Failure;
use crate::lake::tls;
use crate::pipeline::plan::{Credentials, TrinoPlan};

const CONNECT_TIME: Duration = Duration::from_secs(10);
/// Trino answers each request within a second or so, if only to say that it is not ready.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
const REQUEST_TIME_MIN: Duration = Duration::from_secs(5);
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Telling Trino that nobody waits any more is worth no more than that.
const CANCEL_TIME: Duration = Duration::from_secs(2);

/// A statement that did not succeed.
pub(super) struct Refusal {
    /// Trino's own name of the error; empty where it did not answer.
    pub(super) name: String,
    pub(super) error: EngineError,
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        Self {
            name: String::new(),
            error,
        }
    }
}

/// A connection to a Trino.
pub(super) struct Client {
    http: reqwest::Client,
    /// Scheme, host and port.
    origin: String,
    headers: HeaderMap,
    patience: Duration,
    time_per_statement: Duration,
    /// The addresses of the statements at work.
    running: Mutex<BTreeMap<u64, String>>,
}

/// A statement at work, which is cancelled with this value unless it has ended.
pub(super) struct Statement {
    client: Arc<Client>,
    runtime: Handle,
    /// What it does, for messages.
    what: &'static str,
    number: u64,
    next: Option<String>,
    /// The next page, on its way while somebody has the one before it.
    ahead: Option<JoinHandle<EngineResult<Page>>>,
    begun: Instant,
    /// How far it is.
    pub(super) stats: Stats,
    /// What Trino calls it.
    pub(super) id: String,
}

impl Client {
    pub(super) fn new(plan: &TrinoPlan) -> EngineResult<Client> {
        tls::install();
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIME)
            .timeout(plan.patience.clamp(REQUEST_TIME_MIN, REQUEST_TIME_MAX))
            // A redirect would take the password elsewhere.
            .redirect(reqwest::redirect::Policy::none());
        let certificates = match &plan.certificates {
            Some(path) => {
                let shown = path.display();
                let wrong = || Failure::environment(format!("`{shown}` has no certificates (PEM)"));
                let bytes = fs::read(path).map_err(|error| wrong().because(error))?;
                Certificate::from_pem_bundle(&bytes).map_err(|error| wrong().because(error))?
            }
            None => Vec::new(),
        };
        http = match plan.url.starts_with("https://") {
            true => http.tls_certs_merge(certificates),
            // Where no certificate is looked at none need be there.
            false => http.tls_certs_only([]),
        };
        Ok(Client {
            http: http.build().map_err(|error| {
                Failure::environment("cannot make a client for Trino").because(error)
            })?,
            origin: plan.url.clone(),
            headers: headers(plan)?,
            patience: plan.patience,
            time_per_statement: plan.time_per_statement,
            running: Mutex::default(),
        })
    }

    /// Sends a statement; its first page has no rows yet.
    pub(super) fn begin(
        client: &Arc<Client>,
        runtime: &Handle,
        what: &'static str,
        sql: &str,
    ) -> Result<Statement, Refusal> {
        let address = format!("{}/v1/statement", client.origin);
        let request = || client.http.post(&address).body(sql.to_owned());
        let page = runtime.block_on(client.ask(what, request, false))?;
        let mut statement = Statement {
            client: Arc::clone(client),
            runtime: runtime.clone(),
            what,
            number: 0,
            next: None,
            ahead: None,
            begun: Instant::now(),
            stats: Stats::default(),
            id: String::new(),
        };
        statement.number = {
            let mut running = client.running();
            let number = running.last_key_value().map_or(0, |(last, _)| last + 1);
            running.insert(number, String::new());
            number
        };
        statement.follow(page)?;
        Ok(statement)
    }

    /// Something that is no statement: the text of a page of Trino's.
    pub(super) fn get(&self, runtime: &Handle, path: &str) -> EngineResult<String> {
        let address = format!("{}{path}", self.origin);
        runtime.block_on(self.ask_text("ask Trino who it is", || self.http.get(&address), true))
    }

    /// Tells Trino that nobody waits for any statement any more.
    pub(super) async fn cancel_running(&self) {
        let addresses: Vec<String> = self.running().values().cloned().collect();
        for address in addresses.iter().filter(|address| !address.is_empty()) {
            self.cancel(address).await;
        }
    }

    async fn cancel(&self, address: &str) {
        let request = self.http.delete(address).headers(self.headers.clone());
        // Trino gives up by itself what nobody asks for.
        let _ = tokio::time::timeout(CANCEL_TIME, request.send()).await;
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<u64, String>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(
        &self,
        what: &str,
        request: impl Fn() -> RequestBuilder,
        is_page: bool,
    ) -> EngineResult<Page> {
        let text = self.ask_text(what, request, is_page).await?;
        serde_json::from_str(&text).map_err(|error| {
            EngineError::wrong(format!(
                "cannot {what}: `{}` does not answer as Trino does",
                self.origin
            ))
            .saying(error.to_string())
            .hint("see that `url` in `[trino]` is that of a coordinator")
        })
    }

    /// Asks until there is an answer, or patience ends. A statement whose answer was lost may
    /// run twice then: whoever asks for one expects that.
    async fn ask_text(
        &self,
        what: &str,
        request: impl Fn() -> RequestBuilder,
        is_page: bool,
    ) -> EngineResult<String> {
        let mut pause = PAUSE_MIN;
        let mut first_failure = None;
        loop {
            let sent = request().headers(self.headers.clone()).send().await;
            let (error, may_ask_again) = match sent {
                Ok(response) => {
                    let status = response.status();
                    match (status, response.text().await) {
                        (StatusCode::OK, Ok(text)) => return Ok(text),
                        (StatusCode::OK, Err(error)) => (self.lost(what, &error), true),
                        (status, _) => self.refused(what, status, is_page),
                    }
                }
                Err(error) if is_of_certificates(&error) => (
                    EngineError::wrong(format!(
                        "cannot {what}: `{}` has no certificate that is trusted",
                        self.origin
                    ))
                    .saying(words(&error))
                    .hint("name its authority's file as `certificates` in `[trino]`"),
                    false,
                ),
                Err(error) => (self.lost(what, &error), true),
            };
            let since = *first_failure.get_or_insert_with(Instant::now);
            let left = self.patience.saturating_sub(since.elapsed());
            if !may_ask_again || left.is_zero() {
                return Err(error);
            }
            tracing::debug!("asking Trino again: {error}");
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// There is no answer, and nobody knows what became of the request.
    fn lost(&self, what: &str, error: &reqwest::Error) -> EngineError {
        EngineError::unreachable(format!(
            "cannot {what}: Trino at `{}` does not answer",
            self.origin
        ))
        .saying(words(error))
        .hint("see that it runs, and that `url` in `[trino]` is right")
    }

    /// An answer that is none, and whether it is worth asking again.
    fn refused(&self, what: &str, status: StatusCode, is_page: bool) -> (EngineError, bool) {
        let origin = &self.origin;
        let message = |reason: &str| format!("cannot {what}: {reason} ({status})");
        match status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => (
                EngineError::unreachable(message(&format!("Trino at `{origin}` is not ready"))),
                true,
            ),
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => (
                EngineError::unreachable(message(&format!("nobody answers behind `{origin}`"))),
                true,
            ),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => (
                EngineError::wrong(message(&format!("Trino at `{origin}` does not let it in")))
                    .hint("see that `user`, and `password` or `token`, in `[trino]` are right"),
                false,
            ),
            StatusCode::NOT_FOUND | StatusCode::GONE if is_page => (
                EngineError::passing(message(
                    "Trino has forgotten the statement: it was started anew, or another one answers",
                )),
                false,
            ),
            status if status.is_server_error() => (
                EngineError::passing(message(&format!("Trino at `{origin}` failed"))),
                false,
            ),
            _ => (
                EngineError::wrong(message(&format!(
                    "`{origin}` does not answer as Trino does"
                )))
                .hint("see that `url` in `[trino]` is that of a coordinator"),
                false,
            ),
        }
    }
}

impl Statement {
    /// The next page; `None` behind the last one.
    pub(super) fn page(&mut self) -> Result<Option<Page>, Refusal> {
        let Some(address) = self.next.clone() else {
            return Ok(None);
        };
        // Trino does not count the time in which a statement waits for others.
        let bound = self.client.time_per_statement * 2 + self.client.patience;
        if self.begun.elapsed() > bound {
            let message = format!("cannot {}: Trino lets it wait too long", self.what);
            return Err(EngineError::passing(message)
                .hint("see what else Trino has to do, or raise `time-per-statement` in `[trino]`")
                .into());
        }
        let ahead = self.ahead.take();
        let asked = ahead.unwrap_or_else(|| self.ask_for(address));
        let page = self.runtime.block_on(asked).map_err(|error| {
            EngineError::from(Failure::bug("a page of Trino's got lost").because(error))
        })?;
        self.follow(page?).map(Some)
    }

    /// Has Trino send the next page, if there is one, while this one is used.
    pub(super) fn look_ahead(&mut self) {
        if let Some(address) = self.next.clone() {
            self.ahead = Some(self.ask_for(address));
        }
    }

    fn ask_for(&self, address: String) -> JoinHandle<EngineResult<Page>> {
        let (client, what) = (Arc::clone(&self.client), self.what);
        self.runtime.spawn(async move {
            let request = || client.http.get(&address);
            client.ask(what, request, true).await
        })
    }

    fn follow(&mut self, mut page: Page) -> Result<Page, Refusal> {
        self.next = page.next_uri.take().map(|uri| self.on_origin(&uri));
        self.stats = std::mem::take(&mut page.stats);
        self.id.clone_from(&page.id);
        if let Some(address) = &self.next {
            self.client.running().insert(self.number, address.clone());
        }
        match page.error.take() {
            Some(error) => {
                // It has ended.
                self.next = None;
                Err(Refusal {
                    error: errors::of_query(self.what, &error),
                    name: error.error_name,
                })
            }
            None => Ok(page),
        }
    }

    /// The same path of the server that we know: Trino behind a proxy may not know how it is
    /// reached, and nobody else gets the password.
    fn on_origin(&self, uri: &str) -> String {
        let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
        let path = rest.find('/').map_or("", |slash| &rest[slash..]);
        format!("{}{path}", self.client.origin)
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        self.client.running().remove(&self.number);
        if let Some(ahead) = self.ahead.take() {
            ahead.abort();
        }
        let Some(address) = self.next.take() else {
            return;
        };
        let client = Arc::clone(&self.client);
        let cancelled = async move { client.cancel(&address).await };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(cancelled)),
            Err(_) => self.runtime.block_on(cancelled),
        }
    }
}

fn headers(plan: &TrinoPlan) -> EngineResult<HeaderMap> {
    let mut session = vec![format!(
        "query_max_execution_time={}ms",
        plan.time_per_statement.as_millis()
    )];
    if let Some(bytes) = plan.memory_per_node {
        session.push(format!("query_max_memory_per_node={bytes}B"));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-trino-user", plan.user.as_str()),
        ("x-trino-source", "gristmill"),
        ("x-trino-time-zone", "UTC"),
        ("x-trino-session", &session.join(",")),
    ] {
        let value = HeaderValue::from_str(value)
            .map_err(|_| Failure::environment(format!("`{value}` cannot be sent to Trino")))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    let credentials = match &plan.credentials {
        Credentials::None => return Ok(headers),
        Credentials::Password(place) => {
            let password = place.read("the password of `[trino]`")?;
            let pair = format!("{}:{}", plan.user, password.exposed());
            format!("Basic {}", BASE64.encode(pair))
        }
        Credentials::Token(place) => {
            format!("Bearer {}", place.read("the token of `[trino]`")?.exposed())
        }
    };
    let mut value = HeaderValue::from_str(&credentials)
        .map_err(|_| Failure::environment("the token of `[trino]` cannot be sent to Trino"))?;
    // So that it does not show itself.
    value.set_sensitive(true);
    headers.insert(AUTHORIZATION, value);
    Ok(headers)
}

/// An error with its causes, without the address: a message has said where.
fn words(error: &reqwest::Error) -> String {
    let mut words = Vec::new();
    let mut next: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(error) = next {
        words.push(error.to_string());
        next = error.source();
    }
    match words.is_empty() {
        true if error.is_timeout() => "the time is over".to_owned(),
        true => "the connection was lost".to_owned(),
        false => words.join(": "),
    }
}

fn is_of_certificates(error: &reqwest::Error) -> bool {
    let mut next: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return matches!(error, rustls::Error::InvalidCertificate(_));
        }
        // Errors of the system have the error that they were made of beside their source.
        let wrapped = error.downcast_ref::<std::io::Error>();
        next = match wrapped.and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

impl Refusal {
    pub(super) fn is_passing(&self) -> bool {
        self.error.fault == EngineFault::Passing
    }
}
