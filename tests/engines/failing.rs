//! What goes wrong with Trino or with object storage: what each failure asks for, and that it
//! says what to do without a secret.

use std::fs::{self, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use gristmill::diagnostics::engine_error::{EngineError, EngineFault, EngineResult};
use gristmill::fold::{FOLDS, TableFold};
use gristmill::lake::{FilesWritten, Lake, Place};
use gristmill::pipeline::plan::{LakePlan, TrinoPlan};
use gristmill::trino::Trino;
use rustix::process::Signal;

use super::corner::{Corner, secret};
use super::folding::write;
use super::rows::Rows;
use super::stand_in::nobody;
use crate::engines;

const SECRET: &str = "wrong-5ecret+key";

/// A generation's files, and perhaps a table of them.
struct Scene<'a> {
    corner: &'a Corner,
    lake: Lake,
    trino: Trino,
    fold: &'static TableFold,
    place: Place,
    written: FilesWritten,
}

impl<'a> Scene<'a> {
    #[track_caller]
    fn written(corner: &'a Corner, rows: usize) -> Scene<'a> {
        let (lake, trino) = (corner.open_lake(), corner.open_trino());
        let fold = &FOLDS[1];
        let place = corner.place(fold.name);
        let rows = Rows::by_chance(fold, rows, 1, 5);
        let written = write(&lake, &place, fold, &rows, 2);
        Scene {
            corner,
            lake,
            trino,
            fold,
            place,
            written,
        }
    }

    #[track_caller]
    fn added(corner: &'a Corner, rows: usize) -> Scene<'a> {
        let scene = Self::written(corner, rows);
        scene.add().unwrap_or_else(|error| panic!("{error}"));
        scene
    }

    fn add(&self) -> EngineResult<()> {
        let Self {
            lake,
            place,
            fold,
            written,
            ..
        } = self;
        self.trino.create_and_add(lake, place, fold, written)
    }

    fn fold(&self) -> EngineResult<u64> {
        fold(&self.trino, &self.place, self.fold)
    }

    /// The files of rows; not what Trino keeps of the table.
    fn files(&self) -> Vec<PathBuf> {
        let files = self.corner.files().into_iter();
        files
            .filter(|path| path.extension().is_some_and(|kind| kind == "parquet"))
            .collect()
    }

    /// Everything goes, whatever state it is in.
    #[track_caller]
    fn clears_up(self) {
        self.trino
            .drop_table(&self.place)
            .unwrap_or_else(|error| panic!("{error}"));
        self.lake
            .remove(&self.place)
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(self.corner.litter(), [] as [String; 0]);
    }
}

fn fold(trino: &Trino, place: &Place, fold: &'static TableFold) -> EngineResult<u64> {
    trino.fold(place, fold, &fold.parts[0], &mut |_| Ok(()), &mut |_| ())
}

/// It fails so, says this, has a hint, and tells no secret.
#[track_caller]
fn fails<T>(done: EngineResult<T>, fault: EngineFault, words: &[&str]) -> EngineError {
    let error = match done {
        Ok(_) => panic!("it is done"),
        Err(error) => error,
    };
    assert_eq!(error.fault, fault, "{error}");
    let shown = error.to_string();
    for word in words {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    assert!(error.failure.hint.is_some(), "{shown}");
    assert!(!format!("{error:?}").contains(SECRET), "{error:?}");
    error
}

/// Of servers that others share: it breaks files of its own alone.
#[test]
fn files_that_are_wrong_before_they_are_added() {
    let Some(engines) = engines::shared() else {
        return;
    };
    let unreadable = "Trino cannot read the files of the lake";

    // Missing, all of them.
    let corner = engines.corner();
    let scene = Scene::written(&corner, 100);
    scene.lake.remove(&scene.place).expect("they are removed");
    fails(scene.add(), EngineFault::Passing, &[]);
    scene.clears_up();

    // One of two.
    let corner = engines.corner();
    let scene = Scene::written(&corner, 100);
    fs::remove_file(&scene.files()[0]).expect("a file");
    let error = fails(scene.add(), EngineFault::Passing, &["1 of 2 files"]);
    assert!(error.to_string().contains("50 of 100 rows"), "{error}");
    scene.clears_up();

    // Cut off.
    let corner = engines.corner();
    let scene = Scene::written(&corner, 100);
    let file = OpenOptions::new()
        .write(true)
        .open(&scene.files()[0])
        .expect("a file");
    file.set_len(100).expect("a shorter file");
    fails(scene.add(), EngineFault::Passing, &[unreadable, ".parquet"]);
    scene.clears_up();

    // Somebody else's.
    let corner = engines.corner();
    let scene = Scene::written(&corner, 100);
    let foreign = scene.files()[0].with_file_name("foreign.parquet");
    fs::write(&foreign, "somebody's notes").expect("a file");
    fails(
        scene.add(),
        EngineFault::Passing,
        &[unreadable, "foreign.parquet"],
    );
    scene.clears_up();

    // Doubled.
    let corner = engines.corner();
    let scene = Scene::written(&corner, 100);
    let double = scene.files()[0].with_file_name("double.parquet");
    fs::copy(&scene.files()[0], double).expect("a copy");
    fails(
        scene.add(),
        EngineFault::Passing,
        &["3 of 2 files", "150 of 100 rows"],
    );
    scene.clears_up();
}

#[test]
fn files_that_go_wrong_after_they_were_added() {
    let Some(engines) = engines::shared() else {
        return;
    };
    // Removed.
    let corner = engines.corner();
    let scene = Scene::added(&corner, 100);
    assert_eq!(scene.fold().ok(), Some(100));
    // The same files once more are there already.
    assert!(scene.add().is_ok(), "it was done");
    fs::remove_file(&scene.files()[0]).expect("a file");
    fails(
        scene.fold(),
        EngineFault::Passing,
        &["cannot fold hours", "ICEBERG_"],
    );
    scene.clears_up();

    // Damaged.
    let corner = engines.corner();
    let scene = Scene::added(&corner, 5_000);
    for path in scene.files() {
        let mut file = OpenOptions::new().write(true).open(path).expect("a file");
        let length = file.metadata().expect("a size").len();
        file.seek(SeekFrom::Start(4)).expect("a place");
        let noise = vec![0x5a; usize::try_from(length / 2).expect("a size")];
        file.write_all(&noise).expect("noise");
    }
    fails(scene.fold(), EngineFault::Passing, &["cannot fold hours"]);
    scene.clears_up();

    // All that there is, the table's own files too.
    let corner = engines.corner();
    let scene = Scene::added(&corner, 100);
    scene.lake.remove(&scene.place).expect("they are removed");
    fails(scene.fold(), EngineFault::Passing, &["cannot fold hours"]);
    scene.clears_up();
}

#[test]
fn limits_that_trino_holds_a_statement_to() {
    let Some(engines) = engines::shared() else {
        return;
    };
    let corner = engines.corner();
    let scene = Scene::added(&corner, 20_000);
    let with = |plan: TrinoPlan| {
        let limited = Corner {
            trino: plan,
            ..engines.corner()
        };
        fold(&limited.open_trino(), &scene.place, scene.fold)
    };
    let little = TrinoPlan {
        memory_per_node: Some(1 << 10),
        ..corner.trino.clone()
    };
    fails(
        with(little),
        EngineFault::Passing,
        &["too little memory", "MEMORY_LIMIT"],
    );
    let short = TrinoPlan {
        time_per_statement: Duration::from_millis(1),
        ..corner.trino.clone()
    };
    // Trino looks after the time of its statements once a second: some end before it does.
    let folded = (0..100).map(|_| with(short.clone())).find(Result::is_err);
    let folded = folded.expect("one that took too long");
    fails(folded, EngineFault::Passing, &["too long"]);
    assert_eq!(scene.fold().ok(), Some(20_000));
    scene
        .trino
        .drop_table(&scene.place)
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn settings_that_are_wrong() {
    let Some(engines) = engines::shared() else {
        return;
    };
    let corner = engines.corner();
    let scene = Scene::written(&corner, 10);
    let trino = |plan: TrinoPlan| {
        Corner {
            trino: plan,
            ..engines.corner()
        }
        .open_trino()
    };
    let nowhere = TrinoPlan {
        catalog: "no_such_catalog".into(),
        ..corner.trino.clone()
    };
    let Scene {
        lake,
        place,
        fold,
        written,
        ..
    } = &scene;
    let done = trino(nowhere.clone()).create_and_add(lake, place, fold, written);
    fails(done, EngineFault::Wrong, &["no_such_catalog"]);
    fails(
        trino(nowhere).probe(lake, &corner.place("pods")),
        EngineFault::Wrong,
        &["no_such_catalog"],
    );
    let system = TrinoPlan {
        catalog: "system".into(),
        ..corner.trino.clone()
    };
    let probed = trino(system).probe(lake, &corner.place("pods"));
    fails(
        probed,
        EngineFault::Wrong,
        &["catalog `system` of Trino is of connector"],
    );

    let lake_of = |plan: LakePlan| {
        Corner {
            lake: plan,
            ..engines.corner()
        }
        .open_lake()
    };
    let keys = Some((secret("test-access"), secret(SECRET)));
    let stranger = lake_of(LakePlan {
        keys,
        ..corner.lake.clone()
    });
    fails(stranger.probe(place), EngineFault::Wrong, &["it may not"]);
    let mut moved = corner.lake.clone();
    moved.location = gristmill::pipeline::plan::LakeLocation::parse("s3://no-such-bucket/x", None)
        .unwrap_or_else(|error| panic!("{}", error.message));
    fails(
        lake_of(moved).probe(place),
        EngineFault::Wrong,
        &["no-such-bucket"],
    );
    let away = LakePlan {
        endpoint: Some(nobody()),
        patience: Duration::from_secs(1),
        ..corner.lake.clone()
    };
    fails(
        lake_of(away).probe(place),
        EngineFault::Unreachable,
        &["does not answer"],
    );
}

#[test]
fn servers_that_are_lost_and_come_back() {
    let Some(mut private) = engines::private() else {
        return;
    };
    let engines = &mut private.engines;
    let mut corner = engines.corner();
    corner.lake.patience = Duration::from_secs(2);
    corner.trino.patience = Duration::from_secs(3);
    let scene = Scene::added(&corner, 2_000);
    let Scene {
        lake,
        trino,
        place,
        fold: table,
        written,
        ..
    } = scene;
    let own = engines.own.as_mut().expect("servers of ours");

    // Object storage: for the host at once, for Trino behind its own patience.
    own.s3.kill();
    fails(
        lake.files_below(&place),
        EngineFault::Unreachable,
        &["does not answer"],
    );
    let rows = Rows::by_chance(table, 10, 1, 1);
    let mut files = lake.files(&place);
    files.write(&rows.batch(table)).expect("it waits to be put");
    fails(
        files.finish(),
        EngineFault::Unreachable,
        &["does not answer"],
    );
    own.s3.revive();
    assert_eq!(fold(&trino, &place, table).ok(), Some(written.rows));

    // A coordinator that hangs, and goes on.
    own.trino.coordinator.signal(Signal::STOP);
    let hanging = fold(&trino, &place, table);
    own.trino.coordinator.signal(Signal::CONT);
    fails(hanging, EngineFault::Unreachable, &["does not answer"]);
    assert_eq!(fold(&trino, &place, table).ok(), Some(written.rows));

    // A worker: what is left does it, as soon as it is missed.
    own.trino.worker.kill();
    let begun = Instant::now();
    let folded = loop {
        match fold(&trino, &place, table) {
            Ok(folded) => break folded,
            Err(error) => assert_eq!(error.fault, EngineFault::Passing, "{error}"),
        }
        assert!(
            begun.elapsed() < Duration::from_secs(90),
            "it is not missed"
        );
        thread::sleep(Duration::from_secs(1));
    };
    assert_eq!(folded, written.rows);

    // The coordinator.
    own.trino.coordinator.kill();
    let begun = Instant::now();
    fails(
        fold(&trino, &place, table),
        EngineFault::Unreachable,
        &["does not answer"],
    );
    assert!(
        begun.elapsed() < Duration::from_secs(30),
        "{:?}",
        begun.elapsed()
    );

    // All of them are there again, and nothing was lost.
    own.trino.revive();
    assert_eq!(fold(&trino, &place, table).ok(), Some(written.rows));
    trino
        .drop_table(&place)
        .unwrap_or_else(|error| panic!("{error}"));
    lake.remove(&place)
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(corner.files(), [] as [PathBuf; 0]);
}
