//! A server that answers as a test says, in place of Trino's: for what Trino itself does only
//! when it is broken.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::command::file;

/// A request, as far as tests look at it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    /// In small letters.
    pub(super) head: Vec<String>,
    pub(super) body: String,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.iter().filter_map(|line| line.split_once(": "));
        lines
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// An answer, or none: the connection is closed.
pub(super) type Answer = Option<(u16, String)>;

pub(super) struct StandIn {
    pub(super) port: u16,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl StandIn {
    pub(super) fn new(answer: impl Fn(&Request) -> Answer + Send + 'static) -> StandIn {
        Self::start(answer, None)
    }

    /// With a certificate that only `tests/data/tls/authority.pem` vouches for.
    pub(super) fn with_tls(answer: impl Fn(&Request) -> Answer + Send + 'static) -> StandIn {
        let read = |name: &str| file("tests/data/tls").join(name);
        let certificate = CertificateDer::from_pem_file(read("server.pem")).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(read("server.key")).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a pair");
        Self::start(answer, Some(Arc::new(config)))
    }

    fn start(
        answer: impl Fn(&Request) -> Answer + Send + 'static,
        tls: Option<Arc<ServerConfig>>,
    ) -> StandIn {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        // It ends with the tests.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let served = |request: Request| {
                    noted.lock().expect("a list").push(request.clone());
                    answer(&request)
                };
                // Whoever hangs up is of no further interest.
                let _ = match &tls {
                    None => serve(stream, served),
                    Some(tls) => ServerConnection::new(Arc::clone(tls))
                        .map_err(std::io::Error::other)
                        .and_then(|connection| serve(StreamOwned::new(connection, stream), served)),
                };
            }
        });
        StandIn { port, asked }
    }

    pub(super) fn asked(&self) -> Vec<Request> {
        self.asked.lock().expect("a list").clone()
    }
}

fn serve(stream: impl Read + Write, answer: impl Fn(Request) -> Answer) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_owned());
    }
    let first = head.first().cloned().unwrap_or_default();
    let mut words = first.split(' ');
    let mut request = Request {
        method: words.next().unwrap_or_default().to_owned(),
        path: words.next().unwrap_or_default().to_owned(),
        head,
        body: String::new(),
    };
    let length = request
        .header("content-length")
        .and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    request.body = String::from_utf8_lossy(&body).into_owned();
    if let Some((status, body)) = answer(request) {
        let stream = reader.get_mut();
        write!(
            stream,
            "HTTP/1.1 {status} Said\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )?;
        stream.flush()?;
    }
    Ok(())
}

/// Nobody listens there.
pub(super) fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    assert!(TcpStream::connect(address).is_err(), "nobody listens");
    format!("http://{address}")
}
