//! An executor in a process of its own: `executor-under-test <scheduler> <token>`. It lives until it is killed, or its
//! standard input ends.

use std::io::Read;
use std::sync::Arc;

use lode::run::executor_options;
use lode_executor::cluster;
use lode_executor::host::LocalHost;
use lode_executor::wire::{Token, Wire};
use lode_executor::worker;
use lode_plan::host::HostHandle;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|arg| arg == worker::ARGUMENT) {
        worker::worker_main();
    }
    let [_, scheduler, token] = args.as_slice() else { panic!("usage: executor-under-test <scheduler> <token>") };
    let wire = Wire { token: Some(Token::parse(token).expect("a token")), ..Wire::default() };
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let host = HostHandle(Arc::new(LocalHost::new(1, None)));
    let options = executor_options(scheduler.clone(), &wire, 1, &host);
    let executor = runtime.block_on(cluster::start(options)).expect("the executor starts");
    // The parent holds the other end: it ends with the test, however that ends.
    let waited = std::io::stdin().read_to_end(&mut vec![]);
    runtime.block_on(executor.shutdown());
    waited.expect("standard input");
}
