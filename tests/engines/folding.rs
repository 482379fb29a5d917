//! Files, a table, folds, and nothing left: what a run does, against real servers.

use std::thread;

use gristmill::fold::{FOLDS, TableFold};
use gristmill::lake::{FilesWritten, Lake, Place};
use gristmill::trino::Trino;

use super::corner::Corner;
use super::rows::{Parts, Rows};
use crate::engines;

/// Writes rows as so many workers would.
#[track_caller]
pub(super) fn write(
    lake: &Lake,
    place: &Place,
    fold: &TableFold,
    rows: &Rows,
    workers: usize,
) -> FilesWritten {
    let batch = rows.batch(fold);
    let mut written = FilesWritten::default();
    let share = batch.num_rows().div_ceil(workers);
    for worker in 0..workers {
        let begin = (worker * share).min(batch.num_rows());
        let length = share.min(batch.num_rows() - begin);
        let mut files = lake.files(place);
        for offset in (0..length).step_by(1_000) {
            let length = 1_000.min(length - offset);
            let slice = batch.slice(begin + offset, length);
            files
                .write(&slice)
                .unwrap_or_else(|error| panic!("{error}"));
        }
        let finished = files.finish().unwrap_or_else(|error| panic!("{error}"));
        written.rows += finished.rows;
        written.bytes += finished.bytes;
        written.files += finished.files;
    }
    written
}

/// Every part, as Trino folds it.
#[track_caller]
fn folded(trino: &Trino, place: &Place, fold: &'static TableFold) -> Vec<(&'static str, Parts)> {
    let mut folded = Vec::new();
    for part in fold.parts {
        let mut parts = Parts::default();
        let mut states = Vec::new();
        let counted = trino.fold(
            place,
            fold,
            part,
            &mut |rows| {
                rows.into_iter().for_each(|row| parts.add(row));
                Ok(())
            },
            &mut |progress| states.push(progress.clone()),
        );
        counted.unwrap_or_else(|error| panic!("{error}"));
        let last = states.last().expect("a state");
        assert_eq!(last.state, "FINISHED");
        assert!(
            last.splits > 0 && last.splits_done == last.splits,
            "{last:?}"
        );
        folded.push((part.table, parts));
    }
    folded
}

/// As a run does it; returns how many files there were.
#[track_caller]
fn folds_as_in_memory(corner: &Corner, fold: &'static TableFold, rows: &Rows) -> u64 {
    let (lake, trino) = (corner.open_lake(), corner.open_trino());
    let place = corner.place(fold.name);
    let written = write(&lake, &place, fold, rows, 3);
    trino
        .create_and_add(&lake, &place, fold, &written)
        .unwrap_or_else(|error| panic!("{error}"));
    let mut expected = rows.folded(fold);
    for (table, parts) in folded(&trino, &place, fold) {
        assert_eq!(Some(parts), expected.remove(table), "{table}");
    }
    assert!(expected.is_empty());
    trino
        .drop_table(&place)
        .unwrap_or_else(|error| panic!("{error}"));
    lake.remove(&place)
        .unwrap_or_else(|error| panic!("{error}"));
    // Again is no fault.
    trino
        .drop_table(&place)
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(lake.remove(&place).ok(), Some(0));
    written.files
}

#[test]
fn trino_folds_as_this_process_does() {
    let Some(engines) = engines::shared() else {
        return;
    };
    for (seed, fold) in FOLDS.iter().enumerate() {
        let corner = engines.corner();
        let rows = Rows::by_chance(fold, 5_000, 2, seed as u64);
        assert_eq!(folds_as_in_memory(&corner, fold, &rows), 6);
        if engines.own.is_some() {
            assert_eq!(corner.litter(), [] as [String; 0]);
        }
    }
}

#[test]
fn a_folder_does_as_well_and_may_have_odd_characters() {
    let Some(engines) = engines::shared() else {
        return;
    };
    let odd = "it's (ü) +&=;,!$名 x";
    let in_bucket = engines.corner_at(&format!("/{odd}/x"));
    let on_files = engines.corner_on_files(odd);
    for corner in [Some(in_bucket), on_files].into_iter().flatten() {
        let rows = Rows::by_chance(&FOLDS[1], 500, 1, 3);
        folds_as_in_memory(&corner, &FOLDS[1], &rows);
        if engines.own.is_some() {
            assert_eq!(corner.litter(), [] as [String; 0], "{}", corner.name());
        }
    }
}

/// The first tables of a schema that is not there yet.
#[test]
fn generations_at_once_do_not_stand_in_each_others_way() {
    let Some(engines) = engines::shared() else {
        return;
    };
    let corner = engines.corner();
    thread::scope(|scope| {
        for seed in 0..4 {
            let corner = &corner;
            scope.spawn(move || {
                let fold = &FOLDS[seed as usize % 2];
                let rows = Rows::by_chance(fold, 300, 1, 20 + seed);
                folds_as_in_memory(corner, fold, &rows);
            });
        }
    });
    if engines.own.is_some() {
        assert_eq!(corner.litter(), [] as [String; 0]);
    }
}

#[test]
fn a_generation_without_rows_has_a_table_all_the_same() {
    let Some(engines) = engines::shared() else {
        return;
    };
    let rows = Rows::by_chance(&FOLDS[0], 0, 1, 0);
    assert_eq!(folds_empty(&engines.corner(), &rows), 0);
}

#[track_caller]
fn folds_empty(corner: &Corner, rows: &Rows) -> u64 {
    let (lake, trino) = (corner.open_lake(), corner.open_trino());
    let fold = &FOLDS[0];
    let place = corner.place(fold.name);
    let written = write(&lake, &place, fold, rows, 1);
    let made = trino.create_and_add(&lake, &place, fold, &written);
    made.unwrap_or_else(|error| panic!("{error}"));
    for (table, parts) in folded_of_nothing(&trino, &place, fold) {
        assert_eq!(parts, Parts::default(), "{table}");
    }
    trino
        .drop_table(&place)
        .unwrap_or_else(|error| panic!("{error}"));
    written.files
}

#[track_caller]
fn folded_of_nothing(
    trino: &Trino,
    place: &Place,
    fold: &'static TableFold,
) -> Vec<(&'static str, Parts)> {
    let parts = fold.parts.iter().map(|part| {
        let mut parts = Parts::default();
        let counted = trino.fold(
            place,
            fold,
            part,
            &mut |rows| {
                rows.into_iter().for_each(|row| parts.add(row));
                Ok(())
            },
            &mut |_| (),
        );
        assert_eq!(counted.ok(), Some(0));
        (part.table, parts)
    });
    parts.collect()
}

/// Days that come in any order share a bounded number of files.
#[test]
fn many_days_take_no_more_files_at_a_time_than_there_may_be() {
    let Some(engines) = engines::shared() else {
        return;
    };
    let corner = engines.corner();
    let lake = corner.open_lake();
    let fold = &FOLDS[0];
    let place = corner.place(fold.name);
    // 40 days, of which each of two workers' batches has all.
    let rows = Rows::by_chance(fold, 20_000, 40, 11);
    let written = write(&lake, &place, fold, &rows, 2);
    assert_eq!(written.rows, 20_000);
    // One after the other, each has four days' files and one of all others.
    assert_eq!(written.files, 10);
    let found = lake
        .files_below(&place)
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(found.len(), 10);
    let shared = found.iter().filter(|name| name.contains("/data/days-"));
    assert_eq!(shared.count(), 2, "{found:?}");
    assert_eq!(lake.remove(&place).ok(), Some(10));
}
