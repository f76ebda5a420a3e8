//! An interpreter at work as an oracle.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::cpython::Python;

/// An interpreter that answers what its `ast` sees.
pub struct Oracle {
    child: Child,
    answers: BufReader<ChildStdout>,
    requests: Option<SyncSender<Vec<u8>>>,
    writer: Option<JoinHandle<()>>,
}

impl Oracle {
    pub fn start(python: &Python) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ast_oracle/oracle.py");
        let mut child = Command::new(&python.program)
            .args(["-I", "-X", "utf8", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("an interpreter that answered before runs again");
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut stdin = child.stdin.take().unwrap();
        // The interpreter works ahead by one file.
        let (requests, received) = sync_channel::<Vec<u8>>(1);
        let writer = std::thread::spawn(move || {
            for content in received {
                writeln!(stdin, "{}", content.len()).unwrap();
                stdin.write_all(&content).unwrap();
                stdin.flush().unwrap();
            }
        });
        Self { child, answers, requests: Some(requests), writer: Some(writer) }
    }

    /// Asks for a file; answers come in the order of the questions.
    pub fn ask(&self, content: Vec<u8>) {
        self.requests.as_ref().unwrap().send(content).expect("the oracle lives");
    }

    /// The rows of the next answer.
    pub fn answer(&mut self) -> Vec<String> {
        let mut rows = vec![];
        for line in (&mut self.answers).lines().map(Result::unwrap) {
            if line == "." {
                return rows;
            }
            rows.push(line);
        }
        panic!("the oracle died");
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        drop(self.requests.take());
        self.writer.take().map(JoinHandle::join);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
