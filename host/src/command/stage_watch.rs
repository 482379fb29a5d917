//! `gristmill stage test --watch`: builds what can be built, runs the cases, and
//! does both again whenever a source, a case file or a component has changed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use super::stage_folders;
use super::stage_test::{cases_of, stage_folder};
use crate::authoring::changes::Changes;
use crate::authoring::stage_folder::{Snapshot, StageFolder};
use crate::cli::StageTestArguments;
use crate::diagnostics::failure::{Failure, Result};
use crate::terminal;

/// How long a file is still being written that has just changed.
const SETTLES: Duration = Duration::from_millis(200);

/// A stage that is watched.
struct WatchedStage {
    folder: Option<StageFolder>,
    /// Whether its component is made from its sources, rather than placed elsewhere.
    builds: bool,
    cases: PathBuf,
    components: Vec<PathBuf>,
}

/// Runs rounds until it is interrupted.
///
/// # Errors
/// A target is not there. How rounds end is said and is no error, but for that of
/// the last one when their number is limited.
pub(super) fn execute(
    arguments: &StageTestArguments,
    mut round: impl FnMut() -> Result<()>,
) -> Result<()> {
    let folders = stage_folders(&arguments.stages);
    let mut rounds_left = arguments.watch_rounds;
    let mut written = Snapshot::default();
    let mut built = Snapshot::default();
    let mut changes = Changes::default();
    let mut is_told = true;
    loop {
        // A folder may get its first component, or its build file, between rounds.
        let watched = arguments
            .targets
            .iter()
            .map(|target| WatchedStage::of(target, &folders))
            .collect::<Result<Vec<_>>>()?;
        // Taken before the build, so that what is saved during it is not missed.
        written = Snapshot::of(watched.iter().flat_map(WatchedStage::written), &written);
        let result = watched.iter().try_for_each(WatchedStage::build);
        built = Snapshot::of(watched.iter().flat_map(WatchedStage::made), &built);
        let result = result.and_then(|()| round());
        if let Some(left) = &mut rounds_left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                return result;
            }
        }
        if let Err(failure) = &result {
            terminal::failure(failure);
        }
        terminal::say("waiting for a change; Ctrl-C ends this");
        let mut last = (written.clone(), built.clone());
        loop {
            // First, since what is written after the look is told then. Folders may be new.
            is_told = listen(&mut changes, &watched, is_told);
            let now = (
                Snapshot::of(watched.iter().flat_map(WatchedStage::written), &last.0),
                Snapshot::of(watched.iter().flat_map(WatchedStage::made), &last.1),
            );
            let changed = !now.0.is_same(&written) || !now.1.is_same(&built);
            let settled = now.0.is_same(&last.0) && now.1.is_same(&last.1);
            last = now;
            match (changed, settled) {
                (true, true) => break,
                // A file that is still being written is not read yet, and all that is
                // written at once is one change.
                (true, false) => thread::sleep(SETTLES),
                (false, _) => changes.wait(),
            }
        }
    }
}

/// Has the system tell of changes, and says once that it does not.
fn listen(changes: &mut Changes, watched: &[WatchedStage], was_told: bool) -> bool {
    let files = watched
        .iter()
        .flat_map(|stage| [stage.written(), stage.made()].concat());
    let is_told = changes.watch(watched.iter().flat_map(WatchedStage::folders), files);
    if was_told && !is_told {
        tracing::warn!(
            "the system has no room to watch more files (`fs.inotify`); \
            they are looked at every 0.2 s",
        );
    }
    is_told
}

impl WatchedStage {
    fn of(target: &Path, stage_folders: &[PathBuf]) -> Result<Self> {
        let cases = cases_of(target);
        if target.is_file() {
            return Ok(Self {
                folder: None,
                builds: false,
                cases,
                components: vec![target.to_path_buf()],
            });
        }
        let folder = stage_folder(target)?;
        let file = folder.component_file();
        let placed: Vec<PathBuf> = stage_folders
            .iter()
            .map(|folder| folder.join(&file))
            .filter(|path| path.is_file())
            .collect();
        let own = folder.component();
        Ok(Self {
            builds: own.is_some() || placed.is_empty(),
            components: own.into_iter().chain(placed).collect(),
            folder: Some(folder),
            cases,
        })
    }

    /// What people write.
    fn written(&self) -> Vec<PathBuf> {
        let sources = self
            .folder
            .as_ref()
            .filter(|_| self.builds)
            .map(StageFolder::sources)
            .unwrap_or_default();
        sources.into_iter().chain([self.cases.clone()]).collect()
    }

    /// What builds make.
    fn made(&self) -> Vec<PathBuf> {
        let own = self.folder.as_ref().and_then(StageFolder::component);
        own.into_iter().chain(self.components.clone()).collect()
    }

    /// Where people write.
    fn folders(&self) -> Vec<PathBuf> {
        let folder = self.folder.as_ref().filter(|_| self.builds);
        folder.map(StageFolder::folders).unwrap_or_default()
    }

    fn build(&self) -> Result<()> {
        let Some(folder) = self.folder.as_ref().filter(|_| self.builds) else {
            return Ok(());
        };
        let Some(mut command) = folder.build() else {
            return Ok(());
        };
        // What a build says goes to standard error, as all that is no data.
        let output = command
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .status();
        let shown = folder.build_line().unwrap_or_default();
        match output {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failure::run(format!(
                "stage `{}` was not built: `{shown}` ended with {status}",
                folder.name()
            ))),
            Err(error) => Err(Failure::environment(format!(
                "stage `{}` was not built: cannot run `{shown}`",
                folder.name()
            ))
            .because(error)),
        }
    }
}
