//! The client protocol, where an answer is lost, late or none: against a stand-in.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gristmill::diagnostics::engine_error::{EngineError, EngineFault};
use gristmill::diagnostics::failure::Failure;
use gristmill::fold::FOLDS;
use gristmill::lake::Place;
use gristmill::pipeline::plan::{Credentials, TrinoPlan};
use gristmill::trino::Trino;

use super::corner::{runtime, secret};
use super::stand_in::{Answer, Request, StandIn, nobody};
use crate::support::command::file;

const PASSWORD: &str = "hush-5ecret-password";

fn plan(url: String) -> TrinoPlan {
    TrinoPlan {
        url,
        user: "gristmill".into(),
        credentials: Credentials::None,
        certificates: None,
        catalog: "lake".into(),
        schema: "gristmill".into(),
        memory_per_node: Some(1 << 30),
        time_per_statement: Duration::from_secs(90),
        patience: Duration::from_secs(2),
    }
}

#[track_caller]
fn open(plan: &TrinoPlan) -> Trino {
    Trino::open(plan, runtime()).unwrap_or_else(|error| panic!("{error}"))
}

fn place() -> Place {
    Place::new("test", "gristmill", "pods", 1).expect("a place")
}

/// Folds node hours; the rows of the pages that came.
fn fold(trino: &Trino) -> Result<(u64, usize), EngineError> {
    let mut pages = 0;
    let mut take = |_: Vec<_>| {
        pages += 1;
        Ok(())
    };
    let (pods, node_hours) = (&FOLDS[0], &FOLDS[0].parts[1]);
    let counted = trino.fold(&place(), pods, node_hours, &mut take, &mut |_| ())?;
    Ok((counted, pages))
}

/// A page of one row, or of none, and the address of the next. The host in it is nobody's.
fn page(rows: bool, next: Option<usize>) -> Answer {
    let data = match rows {
        true => r#","data":[[0,1,null,5,"infra",24]]"#,
        false => "",
    };
    let next = next.map_or(String::new(), |next| {
        format!(r#","nextUri":"http://elsewhere.invalid:1/v1/statement/executing/q/{next}""#)
    });
    let stats = r#""stats":{"state":"RUNNING","completedSplits":1,"totalSplits":2}"#;
    Some((200, format!(r#"{{"id":"q",{stats}{data}{next}}}"#)))
}

/// A statement of three pages.
fn three_pages(request: &Request) -> Answer {
    match (request.method.as_str(), request.path.rsplit('/').next()) {
        ("POST", _) => page(false, Some(1)),
        ("GET", Some("1")) => page(true, Some(2)),
        ("GET", Some("2")) => page(true, None),
        _ => Some((204, String::new())),
    }
}

#[test]
fn what_is_lost_on_the_way_is_asked_for_again() {
    for trouble in [None, Some(502), Some(503), Some(504), Some(429)] {
        let count = AtomicUsize::new(0);
        // Every other answer is lost.
        let stand_in =
            StandIn::new(
                move |request| match count.fetch_add(1, Ordering::Relaxed) % 2 {
                    0 => trouble.map(|status| (status, "busy".to_owned())),
                    _ => three_pages(request),
                },
            );
        let trino = open(&plan(format!("http://127.0.0.1:{}", stand_in.port)));
        assert_eq!(fold(&trino).ok(), Some((48, 2)), "{trouble:?}");
        let asked = stand_in.asked();
        assert_eq!(asked.len(), 6, "{asked:?}");
        // The next page was asked of the server that is known, by the same path again.
        assert_eq!(asked[2].path, "/v1/statement/executing/q/1");
        assert_eq!(asked[3].path, asked[2].path);
        assert!(asked[0].body.starts_with("SELECT "), "{asked:?}");
        assert_eq!(asked[0].header("x-trino-user"), Some("gristmill"));
        assert_eq!(
            asked[0].header("x-trino-session"),
            Some("query_max_execution_time=90000ms,query_max_memory_per_node=1073741824B")
        );
        assert_eq!(asked[0].header("authorization"), None);
    }
}

#[test]
fn who_does_not_answer_is_unreachable_when_patience_ends() {
    let busy = StandIn::new(|_| Some((503, String::new())));
    let silent = StandIn::new(|_| None);
    for url in [
        nobody(),
        format!("http://127.0.0.1:{}", busy.port),
        format!("http://127.0.0.1:{}", silent.port),
    ] {
        let begun = Instant::now();
        let error = fold(&open(&plan(url.clone()))).expect_err("nobody answers");
        assert_eq!(error.fault, EngineFault::Unreachable, "{error}");
        assert!(error.to_string().contains(&url), "{error}");
        let waited = begun.elapsed();
        assert!(waited >= Duration::from_secs(2), "{waited:?}");
        assert!(waited < Duration::from_secs(20), "{waited:?}");
    }
}

#[test]
fn an_answer_that_is_none_of_trinos_says_what_to_do() {
    for (status, fault, words) in [
        (401, EngineFault::Wrong, "does not let it in"),
        (403, EngineFault::Wrong, "does not let it in"),
        (404, EngineFault::Wrong, "does not answer as Trino does"),
        (301, EngineFault::Wrong, "does not answer as Trino does"),
        (200, EngineFault::Wrong, "does not answer as Trino does"),
        (500, EngineFault::Passing, "failed"),
    ] {
        let stand_in = StandIn::new(move |_| Some((status, "<html>".to_owned())));
        let trino = open(&plan(format!("http://127.0.0.1:{}", stand_in.port)));
        let error = fold(&trino).expect_err("no Trino");
        assert_eq!(error.fault, fault, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        // Another try helps only where it may.
        let tries = if fault == EngineFault::Passing { 3 } else { 1 };
        assert_eq!(stand_in.asked().len(), tries, "{status}");
    }
}

/// A coordinator that was started anew knows nothing of it.
#[test]
fn a_statement_that_was_forgotten_begins_anew_unless_rows_were_taken() {
    let count = AtomicUsize::new(0);
    let stand_in = StandIn::new(move |request| {
        let forgotten = request.path.ends_with("/1") && count.fetch_add(1, Ordering::Relaxed) == 0;
        match forgotten {
            true => Some((404, String::new())),
            false => three_pages(request),
        }
    });
    let trino = open(&plan(format!("http://127.0.0.1:{}", stand_in.port)));
    assert_eq!(fold(&trino).ok(), Some((48, 2)));

    let stand_in = StandIn::new(|request| match request.path.ends_with("/2") {
        true => Some((404, String::new())),
        false => three_pages(request),
    });
    let trino = open(&plan(format!("http://127.0.0.1:{}", stand_in.port)));
    let error = fold(&trino).expect_err("it is forgotten");
    assert_eq!(error.fault, EngineFault::Passing, "{error}");
    let begun = stand_in
        .asked()
        .iter()
        .filter(|request| request.method == "POST")
        .count();
    assert_eq!(begun, 1, "whoever has the rows begins anew");
}

#[test]
fn who_wants_no_more_rows_cancels_the_statement() {
    let stand_in = StandIn::new(three_pages);
    let trino = open(&plan(format!("http://127.0.0.1:{}", stand_in.port)));
    let (pods, node_hours) = (&FOLDS[0], &FOLDS[0].parts[1]);
    let mut take = |_: Vec<_>| Err(Failure::run("the disk is full"));
    let error = trino
        .fold(&place(), pods, node_hours, &mut take, &mut |_| ())
        .expect_err("no rows are taken");
    assert_eq!(error.to_string(), "the disk is full");
    let asked = stand_in.asked();
    let last = asked.last().expect("a request");
    assert_eq!(
        (last.method.as_str(), last.path.as_str()),
        ("DELETE", "/v1/statement/executing/q/2")
    );
}

#[test]
fn a_password_or_a_token_reaches_trino_and_nobody_else() {
    let stand_in = StandIn::new(three_pages);
    let url = format!("http://127.0.0.1:{}", stand_in.port);
    let with = |credentials| {
        let trino = open(&TrinoPlan {
            credentials,
            ..plan(url.clone())
        });
        assert!(fold(&trino).is_ok());
        let asked = stand_in.asked().pop().expect("a request");
        asked.header("authorization").map(str::to_owned)
    };
    assert_eq!(
        with(Credentials::Password(secret(PASSWORD))).as_deref(),
        Some("Basic Z3Jpc3RtaWxsOmh1c2gtNWVjcmV0LXBhc3N3b3Jk")
    );
    assert_eq!(
        with(Credentials::Token(secret(PASSWORD))),
        Some(format!("Bearer {PASSWORD}"))
    );
    let refusing = StandIn::new(|_| Some((401, PASSWORD.to_owned())));
    let plan = TrinoPlan {
        credentials: Credentials::Token(secret(PASSWORD)),
        ..plan(format!("http://127.0.0.1:{}", refusing.port))
    };
    let error = fold(&open(&plan)).expect_err("it is refused");
    let told = format!("{error} {error:?} {plan:?}");
    assert!(!told.contains(PASSWORD), "{told}");
}

#[test]
fn only_a_certificate_that_is_trusted_is() {
    let stand_in = StandIn::with_tls(three_pages);
    let url = format!("https://localhost:{}", stand_in.port);
    let begun = Instant::now();
    let error = fold(&open(&plan(url.clone()))).expect_err("nobody vouches for it");
    assert_eq!(error.fault, EngineFault::Wrong, "{error}");
    assert!(
        error.to_string().contains("no certificate that is trusted"),
        "{error}"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "it is not asked again"
    );
    assert_eq!(stand_in.asked().len(), 0);
    let trusting = TrinoPlan {
        certificates: Some(file("tests/data/tls/authority.pem")),
        credentials: Credentials::Password(secret(PASSWORD)),
        ..plan(url)
    };
    assert_eq!(fold(&open(&trusting)).ok(), Some((48, 2)));
}
