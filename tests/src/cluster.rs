//! Clusters of real processes on the loopback interface. They end with the test, however that ends.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::command::{Output, lode};
use crate::lake::Lake;
use crate::link::Link;
use crate::mounts;

/// How long anything may take that is waited for: many clusters share a machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A process of a cluster and what it has logged.
pub struct Node {
    child: Child,
    log: PathBuf,
    name: String,
}

impl Node {
    fn start(name: &str, home: &Path, mut command: Command) -> Self {
        let log = home.join(format!("{name}.log"));
        let file = fs::OpenOptions::new().create(true).append(true).open(&log).expect("a log can be written");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        // SAFETY: `prctl` is safe between fork and exec.
        unsafe {
            command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        Self { child: command.spawn().expect("the cluster's program is built"), log, name: name.to_owned() }
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// A file as this process sees it, which may be in a mount namespace.
    pub fn sees(&self, path: &Path) -> PathBuf {
        let path = path.strip_prefix("/").expect("paths of tests are absolute");
        PathBuf::from(format!("/proc/{}/root", self.child.id())).join(path)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: libc::c_int) {
        let pid = libc::pid_t::try_from(self.child.id()).expect("a process id fits");
        // SAFETY: the child is not waited for yet, so the id is its own.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "{} can't be signalled", self.name);
    }

    /// Ends it without warning.
    pub fn kill(&mut self) {
        self.signal(libc::SIGKILL);
        self.wait();
    }

    /// Kills the processes that it has started, and says how many there were.
    pub fn kill_children(&self) -> usize {
        let own = self.child.id().to_string();
        let processes = fs::read_dir("/proc").expect("processes can be listed").flatten();
        let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<libc::pid_t>().ok());
        let is_child = |id: &libc::pid_t| {
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            // State and parent come behind the name, which can hold anything.
            let fields = stat.rsplit_once(") ").map(|(_, fields)| fields.split(' ').take(2).collect::<Vec<_>>());
            fields.is_some_and(|fields| fields[1] == own && fields[0] != "Z")
        };
        let children: Vec<libc::pid_t> = ids.filter(is_child).collect();
        for child in &children {
            // SAFETY: signals have no other effect on this process.
            unsafe { libc::kill(*child, libc::SIGKILL) };
        }
        children.len()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        end_of(&mut self.child, || format!("{} ends", self.name))
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it is a child").is_some()
    }

    /// Whether it is stopped.
    pub fn is_stopped(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    }

    /// Waits for a line of its log.
    pub fn says(&self, words: &str) {
        until(&format!("{} says {words:?}; it says\n{}", self.name, self.log()), || self.log().contains(words));
    }

    /// A field of the first line of its log that has these words.
    fn field(&self, words: &str, field: &str) -> String {
        self.says(words);
        let log = self.log();
        let line = log.lines().find(|line| line.contains(words)).expect("it was said");
        let json: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        json["fields"][field].as_str().unwrap_or_else(|| panic!("no {field} in {line}")).to_owned()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.signal(libc::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// The network between the scheduler and one executor.
pub struct Network {
    there: Link,
    back: Link,
}

impl Network {
    /// Lets nothing through from now on, either way.
    pub fn cut(&self) {
        self.there.cut();
        self.back.cut();
    }

    /// Lets everything through again.
    pub fn mend(&self) {
        self.there.mend();
        self.back.mend();
    }
}

/// A scheduler and its executors.
pub struct Cluster {
    /// The scheduler.
    pub scheduler: Node,
    /// The executors, in the order of their start.
    pub executors: Vec<Node>,
    address: SocketAddr,
    home: TempDir,
    environment: Vec<(String, String)>,
    started: usize,
}

impl Cluster {
    /// A cluster with executors that have these faults (none where it is empty). It notices losses within seconds.
    pub fn start(faults: &[&str]) -> Self {
        Self::with(faults, &[])
    }

    /// A cluster whose processes, clients too, have these variables.
    pub fn with(faults: &[&str], environment: &[(&str, &str)]) -> Self {
        let home = TempDir::new().expect("a temporary directory");
        let environment: Vec<_> = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let scheduler = scheduler(home.path(), 0, 0, &environment);
        let address = scheduler.field("the scheduler takes jobs", "addr").parse().expect("an address");
        let mut cluster = Self { scheduler, executors: vec![], address, home, environment, started: 0 };
        for fault in faults {
            cluster.add_executor(&[("LODE_FAULT", fault)]);
        }
        for executor in &cluster.executors {
            executor.says("the executor takes tasks");
        }
        cluster
    }

    /// The address for clients.
    pub fn address(&self) -> String {
        format!("df://{}", self.address)
    }

    /// Starts another executor with these variables; empty ones count as none.
    pub fn add_executor(&mut self, variables: &[(&str, &str)]) {
        self.add(&self.address(), variables, |_| ());
    }

    /// Starts another executor whose connections to the scheduler, and from it and the others, can be cut.
    pub fn add_distant_executor(&mut self, variables: &[(&str, &str)]) -> Network {
        // Others know the executor by another address of this machine, with the same port: there the network begins.
        let (own, known) = ([127, 0, 0, 2], [127, 0, 0, 3]);
        let port = free_port(own);
        let there = Link::new(([127, 0, 0, 1], 0).into(), self.address);
        let back = Link::new((known, port).into(), (own, port).into());
        self.add(&format!("df://{}", there.address()), variables, |command| {
            command.args(["--bind", "127.0.0.2", "--port", &port.to_string(), "--advertise", "127.0.0.3"]);
        });
        Network { there, back }
    }

    /// Starts another executor whose work directory, which is returned, is on a full disk.
    pub fn add_executor_on_a_full_disk(&mut self) -> PathBuf {
        let directory = self.home.path().join(format!("disk-{}", self.started));
        fs::create_dir(&directory).expect("a directory can be made");
        self.add(&self.address(), &[], |command| {
            command.arg("--work-dir").arg(&directory);
            mounts::full_disk(command, &directory);
        });
        directory
    }

    fn add(&mut self, scheduler: &str, variables: &[(&str, &str)], change: impl FnOnce(&mut Command)) {
        let name = format!("executor-{}", self.started);
        self.started += 1;
        let mut command = program("executor", &self.environment);
        command.args(["--scheduler", scheduler, "--tasks", "1", "--heartbeat-seconds", "1"]);
        command.args(["--drain-seconds", "5", "--log-format", "json"]);
        command.envs(variables.iter().filter(|(_, value)| !value.is_empty()).copied());
        change(&mut command);
        self.executors.push(Node::start(&name, self.home.path(), command));
    }

    /// Starts another scheduler in the place of one that has ended.
    pub fn restart_scheduler(&mut self) {
        assert!(self.scheduler.has_ended());
        self.started += 1;
        self.scheduler = scheduler(self.home.path(), self.started, self.address.port(), &self.environment);
        self.scheduler.says("the scheduler takes jobs");
    }

    /// A `lode` command that talks to the cluster.
    pub fn lode(&self, args: &[&str]) -> Command {
        let mut command = lode();
        command.args(args).args(["--scheduler", &self.address(), "--output", "json"]);
        command.envs(self.environment.iter().map(|(k, v)| (k, v)));
        command
    }

    /// `lode submit` of a run.
    pub fn submission(&self, repo: &Path, lake: &Lake, run: &str, args: &[&str]) -> Command {
        self.submission_to(repo, lake.root().to_str().expect("tests have plain names"), run, args)
    }

    /// `lode submit` of a run into a lake at an address.
    pub fn submission_to(&self, repo: &Path, lake: &str, run: &str, args: &[&str]) -> Command {
        let mut command = self.lode(&["submit"]);
        command.arg(repo).args(["--lake", lake, "--run-id", run]).args(args);
        command
    }

    /// `lode resume` of a run.
    pub fn resumption(&self, lake: &str, run: &str) -> Command {
        self.lode(&["resume", run, "--lake", lake])
    }

    /// The state of a run, as the scheduler has it.
    pub fn status(&self, run: &str) -> serde_json::Value {
        let output = Output::of(&mut self.lode(&["status", run])).ok();
        serde_json::from_str(&output.stdout).unwrap_or_else(|e| panic!("{e}\n{output}"))
    }

    /// How many executors the scheduler knows.
    pub fn known_executors(&self) -> usize {
        let about = self.ask("about");
        about["executors"].as_u64().and_then(|n| usize::try_from(n).ok()).expect("a number")
    }

    /// Whether the job of a run has succeeded. Before it is accepted, nobody knows of it.
    pub fn has_succeeded(&self, run: &str) -> bool {
        let state = self.ask(&format!("jobs/{run}"))["state"].clone();
        assert_ne!(state, "failed", "{}", self.logs());
        state == "successful"
    }

    /// What the scheduler's interface says.
    fn ask(&self, what: &str) -> serde_json::Value {
        let answer = get(&self.address.to_string(), &format!("/lode/v1/{what}"), &[]);
        let json = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(json).unwrap_or_else(|e| panic!("{e}: {answer}"))
    }

    /// What all processes have logged.
    pub fn logs(&self) -> String {
        let nodes = std::iter::once(&self.scheduler).chain(&self.executors);
        nodes.map(|node| format!("== {}\n{}\n", node.name, node.log())).collect()
    }
}

/// The answer of an HTTP server, head and all.
pub fn get(address: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n{more}Connection: close\r\n\r\n").expect("it takes requests");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

/// A port that nobody listens at.
pub fn free_port(address: impl Into<IpAddr>) -> u16 {
    let listener = TcpListener::bind((address.into(), 0)).expect("there is a free port");
    listener.local_addr().expect("it has an address").port()
}

fn program(role: &str, environment: &[(String, String)]) -> Command {
    let mut command = Command::new(crate::profile_directory().join("cluster-under-test"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LODE_") {
            command.env_remove(name);
        }
    }
    command.arg(role).envs(environment.iter().map(|(k, v)| (k, v)));
    command
}

fn scheduler(home: &Path, number: usize, port: u16, environment: &[(String, String)]) -> Node {
    let mut command = program("scheduler", environment);
    command.args(["--port", &port.to_string(), "--executor-timeout-seconds", "4", "--log-format", "json"]);
    Node::start(&format!("scheduler-{number}"), home, command)
}

/// Waits for the end of a child, which must come within the time that tests wait for anything.
#[track_caller]
pub fn end_of(child: &mut Child, what: impl Fn() -> String) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().expect("it is a child") {
            return status;
        }
        if Instant::now() >= deadline {
            // Nobody else ends it.
            let _ = child.kill();
            panic!("it does not come about that {}", what());
        }
        sleep(Duration::from_millis(10));
    }
}

/// Waits for something to be so.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it does not come about that {what}");
        sleep(Duration::from_millis(10));
    }
}
