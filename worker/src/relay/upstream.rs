//! The model's server: who it is, what opens it, and how it is asked.

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;
use tower_service::Service;

use super::redact::Redactor;
use crate::child::ChildError;
use crate::credentials::Credentials;

const CONNECT: Duration = Duration::from_secs(10);
/// How long a look at the server may take that no answer hangs on.
const REACH: Duration = Duration::from_secs(5);
/// Servers commonly drop a connection that was idle for five seconds; one that they are about to drop is not used.
const IDLE: Duration = Duration::from_secs(4);
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("conductor/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// The body of a request.
pub(super) type Outgoing = BoxBody<Bytes, io::Error>;

/// The model's server. Clones share its connections. `Debug` shows the address only.
#[derive(Clone)]
pub struct Upstream {
    base_url: String,
    authorization: HeaderValue,
    redactor: Redactor,
    connector: HttpsConnector<HttpConnector>,
    client: Client<HttpsConnector<HttpConnector>, Outgoing>,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Upstream").field(&self.base_url).finish()
    }
}

/// Why a request has no answer.
#[derive(Debug)]
pub(super) struct Unanswered {
    /// For people.
    pub why: String,
    /// Nothing was asked: there was no connection.
    pub connecting: bool,
    /// Trying again is of no use before something is set right.
    pub lasting: bool,
    /// What this machine lacked, if it did.
    pub cause: Option<io::Error>,
}

impl Upstream {
    /// The server that the credentials name. Nothing is asked yet. Over https its certificate must be one of the
    /// system's authorities, or of `SSL_CERT_FILE`.
    ///
    /// # Errors
    /// When address or key cannot be used, or when this machine knows no authorities and the address needs them.
    pub fn new(credentials: &Credentials) -> Result<Upstream, String> {
        let base_url = credentials.base_url.clone();
        let unusable = || format!("the model's address cannot be used: {base_url}");
        let uri: Uri = base_url.parse().map_err(|_| unusable())?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(unusable()),
        };
        let bearer = format!("Bearer {}", credentials.api_key.expose());
        let mut authorization = HeaderValue::from_str(&bearer)
            .map_err(|_| "the model's key holds characters that no header may hold".to_owned())?;
        authorization.set_sensitive(true);
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(secure)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector.clone());
        Ok(Upstream {
            redactor: Redactor::new(&credentials.api_key),
            base_url,
            authorization,
            connector,
            client,
        })
    }

    /// The address, which holds no secret.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Takes the key out of what the server says.
    pub(super) fn redactor(&self) -> Redactor {
        self.redactor.clone()
    }

    /// Whether somebody answers there, over https with a certificate that is trusted. A child would try for more than
    /// a minute; this knows at once.
    ///
    /// # Errors
    /// When nobody does within five seconds.
    pub async fn reach(&self) -> Result<(), ChildError> {
        let failed = |source| ChildError::Io {
            what: format!("reach the model at {}", self.base_url),
            source,
        };
        let uri = self.uri("");
        let mut connector = self.connector.clone();
        match timeout(REACH, connector.call(uri)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                let (why, _) = explained(error.as_ref());
                Err(failed(
                    os_error(error.as_ref()).unwrap_or_else(|| io::Error::other(why)),
                ))
            }
            Err(_) => Err(failed(io::Error::other("no answer within five seconds"))),
        }
    }

    /// Asks for the list of models; its status, and what it says, without the key.
    ///
    /// # Errors
    /// When there is no answer within `limit`, or one beyond `most` bytes; the text is for people.
    pub async fn models(&self, limit: Duration, most: usize) -> Result<(u16, String), String> {
        let asked = async {
            let request = self.request(
                Method::GET,
                "/models",
                Empty::new().map_err(|e| match e {}).boxed(),
            );
            let response = self.send(request).await.map_err(|none| none.why)?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), most).collect().await;
            let body = body
                .map_err(|error| explained(error.as_ref()).0)?
                .to_bytes();
            Ok((status, self.redactor.text(&String::from_utf8_lossy(&body))))
        };
        match timeout(limit, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {} s", limit.as_secs())),
        }
    }

    /// Asks the model.
    pub(super) async fn ask(&self, body: Outgoing) -> Result<Response<Incoming>, Unanswered> {
        self.send(self.request(Method::POST, "/chat/completions", body))
            .await
    }

    fn request(&self, method: Method, path: &str, body: Outgoing) -> Request<Outgoing> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = self.uri(path);
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(
            ACCEPT,
            HeaderValue::from_static("text/event-stream, application/json"),
        );
        // What is packed can be neither counted nor cleaned.
        headers.insert(ACCEPT_ENCODING, IDENTITY);
        headers.insert(hyper::header::USER_AGENT, AGENT);
        request
    }

    fn uri(&self, path: &str) -> Uri {
        let uri = format!("{}{path}", self.base_url);
        uri.parse().expect("an address with a plain path behind it")
    }

    async fn send(&self, request: Request<Outgoing>) -> Result<Response<Incoming>, Unanswered> {
        self.client
            .request(request)
            .await
            .map_err(|error: legacy::Error| {
                let (why, lasting) = explained(&error);
                Unanswered {
                    why: self.redactor.text(&why),
                    connecting: error.is_connect(),
                    lasting,
                    cause: os_error(&error),
                }
            })
    }
}

/// The system's authorities, or none where no certificate is asked for.
fn tls(secure: bool) -> Result<ClientConfig, String> {
    let provider = rustls::crypto::ring::default_provider();
    let builder = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let config = match secure {
        false => builder.with_root_certificates(RootCertStore::empty()),
        true => builder.with_native_roots().map_err(|error| {
            format!(
                "no certificate authorities are known here ({error}): install ca-certificates, or name a file of them \
                 in SSL_CERT_FILE"
            )
        })?,
    };
    Ok(config.with_no_client_auth())
}

/// Every error in a chain, also those that an I/O error holds.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let held = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        match held {
            Some(held) => Some(held as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

fn os_error(error: &(dyn Error + 'static)) -> Option<io::Error> {
    causes(error)
        .filter_map(|error| error.downcast_ref::<io::Error>()?.raw_os_error())
        .map(io::Error::from_raw_os_error)
        .last()
}

/// What went wrong, in words for people, and whether it lasts until somebody sets it right.
fn explained(error: &(dyn Error + 'static)) -> (String, bool) {
    let tls = causes(error).find_map(|error| error.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(
            rustls::CertificateError::UnknownIssuer,
        )) => (
            "nobody known here vouches for its certificate: install that authority among the system's, or name its file \
             in SSL_CERT_FILE in the worker's environment"
                .to_owned(),
            true,
        ),
        Some(error @ rustls::Error::InvalidCertificate(_)) => (error.to_string(), true),
        Some(error) => (error.to_string(), false),
        None => {
            let last = causes(error).last().expect("the first of a chain is there");
            (last.to_string(), false)
        }
    }
}
