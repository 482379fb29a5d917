//! A server as a process of the tests': gone when they are, however they end.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

type Work = Box<dyn FnOnce() + Send>;

/// The system kills a process when the thread ends that started it. The threads of tests end
/// with them, so this one starts all servers.
static KEEPER: LazyLock<mpsc::Sender<Work>> = LazyLock::new(|| {
    let (sender, receiver) = mpsc::channel::<Work>();
    thread::spawn(move || receiver.iter().for_each(|work| work()));
    sender
});

/// A running server, which ends with this value.
pub(crate) struct Process {
    child: Child,
    name: &'static str,
    log: PathBuf,
}

impl Process {
    /// Starts what `setpriv --pdeathsig KILL` is the beginning of.
    pub(super) fn start(
        name: &'static str,
        mut command: Command,
        log: &Path,
    ) -> Result<Process, String> {
        let failed = |error: std::io::Error| format!("cannot start {name}: {error}");
        let output = File::create(log).map_err(failed)?;
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(failed)?)
            .stderr(output);
        let (sender, receiver) = mpsc::channel();
        let work: Work = Box::new(move || {
            // Whoever asked waits for it.
            let _ = sender.send(command.spawn());
        });
        KEEPER.send(work).expect("a thread that never ends");
        let child = receiver.recv().expect("an answer").map_err(failed)?;
        Ok(Process {
            child,
            name,
            log: log.to_path_buf(),
        })
    }

    /// Waits until it is ready; fails with its last words.
    pub(super) fn until(&mut self, time: Duration, ready: impl Fn() -> bool) -> Result<(), String> {
        let begun = Instant::now();
        while !ready() {
            let ended = self.child.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() || begun.elapsed() > time {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                let begin = log.len().saturating_sub(4_000);
                let words = String::from_utf8_lossy(&log.as_bytes()[begin..]);
                return Err(format!("{} did not start ({ended:?})\n{words}", self.name));
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Ends it at once, as a machine that is switched off.
    pub(crate) fn kill(&mut self) {
        // Where it is gone already, that is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(super) fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|ended| ended.is_some())
    }

    /// Stops it, as a machine that hangs, or lets it go on.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("a process");
        kill_process(Pid::from_raw(id).expect("a process"), signal).expect("a process of ours");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A program that the system kills when the tests are gone.
pub(super) fn command(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

/// A port of loopback that nobody has at the moment.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}
