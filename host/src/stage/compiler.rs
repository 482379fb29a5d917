//! Compiles components. A small component can make that endless and as large as it likes:
//! 700 kB of it have taken gigabytes. A compiler can neither be interrupted nor be told
//! how much memory there is. So the program starts a child process of its own that
//! compiles, under limits that the system enforces, and kills it when its time is up.
//!
//! A program that uses gristmill as a library compiles in its own process, on a thread
//! that is left to itself when its time is up; its memory has no limit.

use std::io::{self, Read, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use wasmtime::{Engine as WasmtimeEngine, OutOfMemory};

use super::engine;
use super::limits::{COMPILE_THREADS, LoadLimits};

/// The child's command line begins with this; `main` knows it.
pub const COMPILE_COMMAND: &str = "compile-for-parent";

/// How the child says that it was given no component that can be compiled; the reason
/// is on its standard error.
const EXIT_REFUSED: u8 = 10;

/// How it says that it had too little memory.
const EXIT_MEMORY: u8 = 11;

/// The bytes of its words that are kept.
const WORDS_BYTES_MAX: u64 = 4 << 10;

/// A child process may map this besides its memory: the program and its libraries, and
/// memory that allocators and threads reserve without using it.
const RESERVED_BYTES: u64 = 2 << 30;

/// The process that compiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// This process.
    Here,
    /// The same program in a child process. It must be one that hands `compile` to it.
    Child,
}

/// Machine code, and how long it took to make.
#[derive(Debug)]
pub(super) struct CompiledCode {
    pub(super) code: Vec<u8>,
    pub(super) time: Duration,
}

/// Why there is none.
#[derive(Debug)]
pub(super) enum CompileRefusal {
    /// It takes longer than it may.
    Time,
    /// It takes more memory than it may.
    Memory,
    /// It is no component that can be compiled.
    Refused(String),
    /// There is no compiler.
    Unable(String),
}

impl Compiler {
    /// Compiles a component.
    pub(super) fn compile(
        self,
        engine: &WasmtimeEngine,
        metered: bool,
        bytes: Vec<u8>,
        limits: LoadLimits,
    ) -> Result<CompiledCode, CompileRefusal> {
        let compiled = match self {
            Self::Here => here(engine, bytes, limits.compile_time),
            Self::Child => in_child(metered, &bytes, limits),
        }?;
        // It may be done by the time that we get to look.
        match compiled.time > limits.compile_time {
            true => Err(CompileRefusal::Time),
            false => Ok(compiled),
        }
    }
}

fn here(
    engine: &WasmtimeEngine,
    bytes: Vec<u8>,
    time: Duration,
) -> Result<CompiledCode, CompileRefusal> {
    let engine = engine.clone();
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let started = Instant::now();
        let code = engine.precompile_component(&bytes);
        // Nobody may be waiting any more.
        let _ = sender.send((code, started.elapsed()));
    });
    match receiver.recv_timeout(time) {
        Ok((Ok(code), time)) => Ok(CompiledCode { code, time }),
        Ok((Err(error), _)) => Err(CompileRefusal::Refused(error.root_cause().to_string())),
        Err(RecvTimeoutError::Timeout) => Err(CompileRefusal::Time),
        Err(RecvTimeoutError::Disconnected) => {
            Err(CompileRefusal::Refused("the compiler panicked".into()))
        }
    }
}

fn in_child(
    metered: bool,
    bytes: &[u8],
    limits: LoadLimits,
) -> Result<CompiledCode, CompileRefusal> {
    let started = Instant::now();
    let mut child = spawn(metered, limits.compile_memory_bytes)
        .map_err(|error| CompileRefusal::Unable(error.to_string()))?;
    let (Some(mut stdin), Some(mut stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(CompileRefusal::Unable("it has no streams".into()));
    };
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::scope(|scope| {
        scope.spawn(move || {
            // A child that is gone has said why.
            let _ = stdin.write_all(bytes);
        });
        scope.spawn(move || {
            let mut code = Vec::new();
            let read = stdout.read_to_end(&mut code).map(|_| code);
            // Nobody may be waiting any more.
            let _ = sender.send(read);
        });
        let words = scope.spawn(move || words(stderr));
        let code = receiver.recv_timeout(limits.compile_time.saturating_sub(started.elapsed()));
        // Its streams end with it, and the threads with them.
        let status = end(&mut child, code.is_err())
            .map_err(|error| CompileRefusal::Unable(error.to_string()))?;
        let Ok(code) = code else {
            return Err(CompileRefusal::Time);
        };
        if status.success() {
            let code = code.map_err(|error| CompileRefusal::Unable(error.to_string()))?;
            let time = started.elapsed();
            return Ok(CompiledCode { code, time });
        }
        Err(why(status, &words.join().unwrap_or_default()))
    })
}

/// Our own program, also when another file has taken its place by now.
fn spawn(metered: bool, memory_bytes: u64) -> io::Result<Child> {
    let itself = Path::new("/proc/self/exe");
    let program = match itself.exists() {
        true => itself.to_path_buf(),
        false => std::env::current_exe()?,
    };
    Command::new(program)
        .arg(COMPILE_COMMAND)
        .arg(memory_bytes.to_string())
        .arg(metered.to_string())
        // It needs nothing of ours, and passwords least of all.
        .env_clear()
        .env("RAYON_NUM_THREADS", COMPILE_THREADS.to_string())
        // Memory that one thread gives back is for the others.
        .env("MALLOC_ARENA_MAX", "2")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

fn end(child: &mut Child, too_late: bool) -> io::Result<ExitStatus> {
    if too_late {
        child.kill()?;
    }
    child.wait()
}

/// The beginning of what it says; the rest is read, so that it is not kept waiting.
fn words(mut stream: impl Read) -> String {
    let mut words = Vec::new();
    let read = (&mut stream).take(WORDS_BYTES_MAX).read_to_end(&mut words);
    let rest = read.and_then(|_| io::copy(&mut stream, &mut io::sink()));
    // A failed read adds nothing to the bytes before.
    let _ = rest;
    String::from_utf8_lossy(&words).trim().to_string()
}

/// The meaning of the end of a child that we did not kill.
fn why(status: ExitStatus, words: &str) -> CompileRefusal {
    let killed = status.signal() == Some(Signal::KILL.as_raw());
    // An allocation that fails ends the process, with these words of the standard library.
    let starved = words.contains("memory allocation of") || words.contains("out of memory");
    match status.code() {
        Some(code) if code == i32::from(EXIT_REFUSED) => CompileRefusal::Refused(words.into()),
        Some(code) if code == i32::from(EXIT_MEMORY) => CompileRefusal::Memory,
        // The system kills when it runs out of memory itself.
        _ if killed || starved => CompileRefusal::Memory,
        _ => CompileRefusal::Refused(match words.is_empty() {
            true => format!("the compiler broke off ({status})"),
            false => format!("the compiler broke off ({status}): {words}"),
        }),
    }
}

/// The child's part: compiles what it reads and writes the machine code, within these
/// limits. `arguments` are those behind `COMPILE_COMMAND`. What is wrong goes into
/// `words`. Returns the exit code.
pub fn compile_for_parent(
    arguments: &[String],
    component: &mut dyn Read,
    code: &mut dyn io::Write,
    words: &mut dyn io::Write,
) -> u8 {
    let (exit, reason) = match compiled_for_parent(arguments, component, code) {
        Ok(()) => return 0,
        Err(CompileRefusal::Refused(reason)) => (EXIT_REFUSED, reason),
        Err(CompileRefusal::Memory) => (EXIT_MEMORY, "out of memory".into()),
        Err(CompileRefusal::Unable(reason)) => (1, reason),
        Err(CompileRefusal::Time) => (1, "out of time".into()),
    };
    // The exit code says enough when nobody listens.
    let _ = writeln!(words, "{reason}");
    exit
}

fn compiled_for_parent(
    arguments: &[String],
    component: &mut dyn Read,
    code: &mut dyn io::Write,
) -> Result<(), CompileRefusal> {
    let unable = |error: &dyn std::fmt::Display| CompileRefusal::Unable(error.to_string());
    let (memory_bytes, metered) = match arguments {
        [memory_bytes, metered] => (
            memory_bytes.parse().map_err(|error| unable(&error))?,
            metered.parse().map_err(|error| unable(&error))?,
        ),
        _ => return Err(unable(&"a command of gristmill for itself")),
    };
    confine(memory_bytes).map_err(|error| unable(&error))?;
    let engine = engine::machine(metered).map_err(|error| unable(&error))?;
    let mut bytes = Vec::new();
    component
        .read_to_end(&mut bytes)
        .map_err(|error| unable(&error))?;
    let compiled = engine.precompile_component(&bytes).map_err(|error| {
        let is_memory = |cause: &(dyn std::error::Error + 'static)| {
            cause
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::OutOfMemory)
        };
        match error.is::<OutOfMemory>() || error.chain().any(is_memory) {
            true => CompileRefusal::Memory,
            false => CompileRefusal::Refused(error.root_cause().to_string()),
        }
    })?;
    code.write_all(&compiled)
        .and_then(|()| code.flush())
        .map_err(|error| unable(&error))
}

/// Bounds this process by so much memory. It ends with its parent, and leaves no image
/// of its memory behind when it is out of it.
fn confine(memory_bytes: u64) -> io::Result<()> {
    let at_most = |bytes| Rlimit {
        current: Some(bytes),
        maximum: Some(bytes),
    };
    setrlimit(Resource::Core, at_most(0))?;
    // Private memory that can be written: the memory in use, not the reserved one.
    setrlimit(Resource::Data, at_most(memory_bytes))?;
    // Where that is not counted, all that it maps.
    setrlimit(
        Resource::As,
        at_most(memory_bytes.saturating_add(RESERVED_BYTES)),
    )?;
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    Ok(())
}
