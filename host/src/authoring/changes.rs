//! Waits until files may have changed, as the system tells it.
//!
//! Whether they did change, a `Snapshot` says: an event may be of anything, and a network's
//! file system may have none.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

/// How often files are looked at that the system tells nothing of.
const POLL: Duration = Duration::from_millis(200);

/// How often files are looked at without an event.
const LOOK: Duration = Duration::from_secs(2);

/// What the system tells of some folders.
pub struct Changes {
    told: Receiver<()>,
    /// None where the system has no room for it.
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
}

impl Default for Changes {
    fn default() -> Self {
        let (tell, told) = mpsc::channel();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // We read the files, and so do builds.
            if event.is_ok_and(|event| event.kind.is_access()) {
                return;
            }
            // Whoever waited may be gone.
            let _ = tell.send(());
        });
        Self {
            told,
            watcher: watcher.ok(),
            folders: BTreeSet::new(),
        }
    }
}

impl Changes {
    /// From now on of these folders and those that these files are in, and of no others. A
    /// link is in one folder and the file that it leads to in another.
    ///
    /// Returns whether the system tells of them all. If not, they are looked at.
    pub fn watch(
        &mut self,
        folders: impl IntoIterator<Item = PathBuf>,
        files: impl IntoIterator<Item = PathBuf>,
    ) -> bool {
        let of_files = files.into_iter().flat_map(|file| {
            let target = file.canonicalize().ok();
            let places = [Some(file), target].into_iter().flatten();
            places.filter_map(|file| folder_of(&file))
        });
        let folders: BTreeSet<PathBuf> = folders.into_iter().chain(of_files).collect();
        let Some(watcher) = &mut self.watcher else {
            return false;
        };
        for folder in self.folders.difference(&folders) {
            // One that went away is watched no longer.
            let _ = watcher.unwatch(folder);
        }
        // Also those that are watched: another one may have the name now.
        let watched = folders.iter().all(|folder| {
            watcher.watch(folder, RecursiveMode::NonRecursive).is_ok() || !folder.is_dir()
        });
        self.folders = folders;
        if !watched {
            self.watcher = None;
        }
        watched
    }

    /// Waits until something may have changed.
    pub fn wait(&self) {
        self.wait_for(LOOK);
    }

    /// Returns whether the system told of something in time.
    fn wait_for(&self, time: Duration) -> bool {
        if self.watcher.is_none() {
            thread::sleep(POLL);
            return false;
        }
        let is_told = self.told.recv_timeout(time).is_ok();
        // Whatever else is told of by now is seen at the same look.
        self.told.try_iter().for_each(drop);
        is_told
    }
}

fn folder_of(file: &Path) -> Option<PathBuf> {
    let folder = file.parent()?;
    Some(match folder == Path::new("") {
        true => PathBuf::from("."),
        false => folder.to_path_buf(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// Longer than any machine needs.
    const LONG: Duration = Duration::from_secs(60);

    fn changes(files: &[&Path]) -> Changes {
        let mut changes = Changes::default();
        assert!(changes.watch([], files.iter().map(|file| file.to_path_buf())));
        changes
    }

    #[test]
    fn whatever_is_done_to_a_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&file, "1").unwrap();
        let changes = changes(&[&file]);
        let is_told = |what: &str| assert!(changes.wait_for(LONG), "{what}");
        fs::write(&file, "2").unwrap();
        is_told("written");
        fs::write(&other, "3").unwrap();
        fs::rename(&other, &file).unwrap();
        is_told("replaced");
        fs::remove_file(&file).unwrap();
        is_told("removed");
        fs::write(&file, "4").unwrap();
        is_told("made anew");
    }

    #[test]
    fn a_link_and_what_it_leads_to_are_told() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (link, target) = (here.path().join("link"), there.path().join("target"));
        fs::write(&target, "1").unwrap();
        symlink(&target, &link).unwrap();
        let changes = changes(&[&link]);
        fs::write(&target, "2").unwrap();
        assert!(changes.wait_for(LONG));
        fs::remove_file(&link).unwrap();
        assert!(changes.wait_for(LONG));
    }

    #[test]
    fn a_folder_that_another_one_replaced_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, old) = (folder.path().join("inner"), folder.path().join("old"));
        fs::create_dir(&inner).unwrap();
        let file = inner.join("a");
        let mut changes = changes(&[&file]);
        fs::rename(&inner, &old).unwrap();
        fs::create_dir(&inner).unwrap();
        assert!(changes.watch([], [file.clone()]));
        changes.told.try_iter().for_each(drop);
        fs::write(&file, "1").unwrap();
        assert!(changes.wait_for(LONG));
    }

    #[test]
    fn reading_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        fs::write(&file, "1").unwrap();
        let changes = changes(&[&file]);
        fs::read(&file).unwrap();
        fs::write(folder.path().join("b"), "2").unwrap();
        assert!(changes.wait_for(LONG));
        // A file that is made is told of more than once.
        while changes.wait_for(POLL) {}
        fs::read(&file).unwrap();
        assert!(!changes.wait_for(POLL));
    }

    #[test]
    fn where_the_system_tells_nothing_files_are_looked_at() {
        let mut changes = Changes {
            watcher: None,
            ..Changes::default()
        };
        assert!(!changes.watch([], [PathBuf::from("a")]));
        // It does not wait for what nobody tells.
        assert!(!changes.wait_for(LONG));
    }
}
