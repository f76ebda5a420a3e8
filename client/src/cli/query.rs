//! `lode query`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use lode_executor::host::LocalHost;
use lode_facts::options::Options;
use lode_lake::snapshot::Pin;
use lode_plan::host::HostHandle;

use super::values::AsOf;
use super::{Exit, Failure, LakeArg, Outcome, interpreters, text};
use crate::query::{Format, engine, write};

const EXAMPLES: &str = "\
Examples:
  lode query --lake lake \"SELECT path, name FROM ast_defs ORDER BY path LIMIT 10\"
  lode query --lake lake --as-of 2026-01-31 --format csv \"SELECT count(*) FROM repo_files\"
  lode query --lake lake \"SELECT name, def_fqns FROM extract('cst_defs', 'src', '*.py')\"
  lode query --lake lake --format parquet -o calls.parquet \"SELECT * FROM ast_calls\"

The tables are those of one snapshot, whatever is committed meanwhile; `lode tables` lists them.
Nothing a query says changes the lake.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct QueryArgs {
    /// The query
    sql: String,
    #[command(flatten)]
    lake: LakeArg,
    #[command(flatten)]
    pin: PinArgs,
    /// Interpreter that compiles where the query extracts bytecode_*, as in python3.13; can be repeated
    #[arg(long = "python", value_name = "INTERPRETER")]
    pythons: Vec<String>,
    /// How rows are written
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// File to write to, instead of stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(super) struct PinArgs {
    /// Read the state of this run [default: the last committed run]
    #[arg(long, value_name = "ID", conflicts_with = "as_of")]
    run: Option<String>,
    /// Read the state at a time, or at a commit number of the lake's only repository
    #[arg(long, value_name = "TIME|NUMBER")]
    as_of: Option<AsOf>,
}

impl PinArgs {
    pub(super) fn pin(&self) -> Pin {
        match (&self.run, &self.as_of) {
            (Some(run), _) => Pin::Run(run.clone()),
            (None, Some(AsOf(pin))) => pin.clone(),
            (None, None) => Pin::Last,
        }
    }
}

pub(super) async fn query(args: QueryArgs) -> Outcome {
    let lake = args.lake.open().await?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let options = Options { interpreters: interpreters::resolve(&args.pythons)?, ..Options::default() };
    let host = HostHandle(Arc::new(LocalHost::new(cores, None).with_function_options(options)));
    let engine = engine(&lake, args.pin.pin(), Some(&host)).await?;
    let frame = engine.plan(&args.sql).await?;
    for warning in engine.warnings(frame.logical_plan())? {
        text::note(&format!("warning: {warning}"));
    }
    let rows = frame.execute_stream().await?;
    match &args.output {
        None => {
            write(rows, args.format, BufWriter::new(io::stdout())).await?;
        }
        Some(path) => {
            let partial = Partial::create(path)?;
            write(rows, args.format, BufWriter::new(&partial.file)).await?;
            partial.keep()?;
        }
    }
    Ok(Exit::Done)
}

/// A file that appears under its name when it is whole.
struct Partial<'a> {
    path: &'a Path,
    temporary: PathBuf,
    file: File,
    kept: bool,
}

impl<'a> Partial<'a> {
    fn create(path: &'a Path) -> Result<Self, Failure> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{}.partial", std::process::id()));
        let temporary = PathBuf::from(temporary);
        let file = File::create(&temporary).map_err(|e| Failure::new(format!("can't write {}", path.display()), e))?;
        Ok(Self { path, temporary, file, kept: false })
    }

    fn keep(mut self) -> Result<(), Failure> {
        let renamed = (&self.file).flush().and_then(|()| std::fs::rename(&self.temporary, self.path));
        renamed.map_err(|e| Failure::new(format!("can't write {}", self.path.display()), e))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Partial<'_> {
    fn drop(&mut self) {
        if !self.kept {
            // The error that led here is the one to tell.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}
