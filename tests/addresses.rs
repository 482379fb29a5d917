//! How a database is named: its URL, and the variables of `psql`. What is not understood is
//! refused or said; nothing that was asked for is passed over.

use crate::support::command::{Gristmill, gristmill};
use crate::support::own_server::OwnServer;
use crate::support::server::TestDatabase;

/// The URL with a parameter more.
fn with(database: &TestDatabase, parameter: &str) -> String {
    let url = database.url();
    let divider = if url.contains('?') { '&' } else { '?' };
    format!("{url}{divider}{parameter}")
}

fn status(url: &str) -> Gristmill {
    gristmill(["status"]).env("DATABASE_URL", url)
}

/// `?sslmod=require` left the connection open to all, and nobody was told.
#[test]
fn a_parameter_that_is_unknown_is_refused() {
    let database = TestDatabase::migrated();
    status(database.url()).succeeds();
    for (parameter, words) in [
        (
            "sslmod=require",
            "its parameter `sslmod` is unknown; there is `sslmode`",
        ),
        ("sslmod%65=requir", "`sslmode` is none of `disable`, "),
        (
            "connect_timeout=3",
            "its parameter `connect_timeout` is none that gristmill heeds",
        ),
        ("zzz=1", " is unknown; those that there are: `sslmode`, "),
    ] {
        let ended = status(&with(&database, parameter)).ends_with(3);
        assert!(
            ended
                .stderr
                .contains("error: the database URL cannot be used: "),
            "{ended}"
        );
        assert!(ended.stderr.contains(words), "{ended}");
    }
    status(&with(&database, "application_name=mine")).succeeds();
}

/// A server that takes writes is what gristmill needs; whoever asks for another kind means
/// another server.
#[test]
fn a_server_of_another_kind_than_was_asked_for_is_refused() {
    let database = TestDatabase::migrated();
    let wants = |wanted: &str| status(&with(&database, &format!("target_session_attrs={wanted}")));
    for wanted in ["any", "read-write", "primary", "prefer-standby"] {
        wants(wanted).succeeds();
    }
    for (wanted, is) in [("standby", "is a primary"), ("read-only", "takes writes")] {
        let ended = wants(wanted).ends_with(3);
        let words =
            format!("cannot be used: `target_session_attrs` asks for `{wanted}`, and it {is}");
        assert!(ended.stderr.contains(&words), "{ended}");
    }
    let ended = status(database.url())
        .env("PGTARGETSESSIONATTRS", "standby")
        .ends_with(3);
    assert!(
        ended
            .stderr
            .contains("asks for `standby`, and it is a primary"),
        "{ended}"
    );

    let standby = OwnServer::standby();
    let url = with(
        &standby.database("postgres"),
        "target_session_attrs=primary",
    );
    let ended = status(&url).ends_with(3);
    assert!(
        ended
            .stderr
            .contains("asks for `primary`, and it is a standby"),
        "{ended}"
    );
    let several = "postgresql://one,two/usage?target_session_attrs=primary";
    let ended = status(several).ends_with(3);
    assert!(
        ended
            .stderr
            .contains("it names several servers, and gristmill takes one"),
        "{ended}"
    );
}

/// What a URL leaves open is what the variables say, as it is for `psql`.
#[test]
fn the_variables_of_psql_fill_in_the_url() {
    let database = TestDatabase::migrated();
    let url = database.url();
    let socket = url
        .split("host=")
        .nth(1)
        .and_then(|rest| rest.split('&').next());
    let socket = socket.expect("the shared server has a socket");
    let socket = percent_encoding::percent_decode_str(socket).decode_utf8_lossy();
    let user = url
        .split("user=")
        .nth(1)
        .and_then(|rest| rest.split('&').next());
    let by_variables = |url: &str| {
        status(url)
            .env("PGHOST", &*socket)
            .env("PGDATABASE", database.name())
            .env("PGUSER", user.expect("a user"))
    };
    let ended = by_variables("postgresql://").succeeds();
    assert!(!ended.stderr.contains("not used"), "{ended}");
    let ended = by_variables("postgresql:///gristmill_of_nobody").ends_with(3);
    assert!(
        ended
            .stderr
            .contains("postgresql:///gristmill_of_nobody?host="),
        "{ended}"
    );
    // The library would take these for not set.
    for (name, value) in [("PGSSLMODE", "requir"), ("PGPORT", "x")] {
        let ended = by_variables("postgresql://").env(name, value).ends_with(3);
        assert!(
            ended.stderr.starts_with(&format!("error: {name} is no")),
            "{ended}"
        );
    }
    let ended = by_variables("postgresql://")
        .env("PGSERVICE", "usage")
        .succeeds();
    let words = "PGSERVICE is set, and not used: the database URL says what gristmill goes by";
    assert!(ended.stderr.contains(words), "{ended}");
}

/// Without a URL gristmill has a server of its own, whatever the variables say.
#[test]
fn variables_that_are_not_used_are_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let ended = gristmill(["db", "url"])
        .env("DATABASE_URL", "")
        .env("GRISTMILL_DATA", folder.path())
        .env("GRISTMILL_PG_BIN", folder.path())
        .env("PGHOST", "db.example")
        .env("PGDATABASE", "usage")
        .ends_with(3);
    let words = "PGHOST and PGDATABASE are set, and not used: without a database URL gristmill has a \
        server of its own; DATABASE_URL=postgresql:// is the one that they name";
    assert!(ended.stderr.contains(words), "{ended}");
}
