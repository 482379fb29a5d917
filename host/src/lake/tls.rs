//! The cryptography of TLS for the clients of HTTP: the one that the database's has.

use std::sync::Once;

/// Sees to it that clients find it; they panic where there is none.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Whoever was first has installed one, and that will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
