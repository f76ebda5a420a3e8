//! What a lake tells of its first run from outside: each phase ends with an object, whose time says when.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use lode_model::measured::Figure;

/// How many shards there were, and the seconds of each phase and the size of what the tasks wrote. `started` and `elapsed`
/// are those of the client.
pub fn figures(lake: &Path, started: SystemTime, elapsed: f64) -> io::Result<(f64, BTreeMap<Figure, f64>)> {
    let mut objects = vec![];
    list(lake, "", &mut objects)?;
    let last = |of: fn(&str) -> bool| {
        let times = objects.iter().filter(|object| of(&object.path)).map(|object| object.written);
        let time = times.max().ok_or_else(|| io::Error::other("the lake lacks an object of a committed run"))?;
        // Clocks of file systems lag behind by some milliseconds.
        Ok::<f64, io::Error>(time.duration_since(started).unwrap_or_default().as_secs_f64())
    };
    let scanned = last(|path| path.starts_with("_runs/") && path.contains("/scan-"))?;
    let planned = last(|path| path.starts_with("_runs/") && path.ends_with("/0/plan.json"))?;
    let extracted = last(is_manifest)?;
    let committed = last(|path| path.starts_with("runs/_delta_log/"))?;

    let by_tasks = objects.iter().filter(|object| is_of_task(&object.path));
    let (written, bytes) =
        by_tasks.fold((0.0, 0.0), |(count, bytes), object| (count + 1.0, bytes + object.bytes as f64));
    let figures = BTreeMap::from([
        (Figure::Scan, scanned),
        (Figure::Plan, (planned - scanned).max(0.0)),
        (Figure::Extract, (extracted - planned).max(0.0)),
        (Figure::Commit, (committed - extracted).max(0.0)),
        (Figure::End, (elapsed - committed).max(0.0)),
        (Figure::Objects, written),
        (Figure::Written, bytes / 1e6),
    ]);
    Ok((objects.iter().filter(|object| is_manifest(&object.path)).count() as f64, figures))
}

fn is_manifest(path: &str) -> bool {
    path.starts_with("_runs/") && path.contains("/0/manifest/")
}

/// Data files, manifests, and attempts that were written down.
fn is_of_task(path: &str) -> bool {
    is_manifest(path)
        || path.starts_with("_runs/") && path.contains("/0/attempts/")
        || !path.starts_with('_') && path.contains("/shard=")
}

struct Object {
    path: String,
    bytes: u64,
    written: SystemTime,
}

fn list(root: &Path, below: &str, objects: &mut Vec<Object>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        let metadata = entry.metadata()?;
        match metadata.is_dir() {
            true => list(root, &path, objects)?,
            false => objects.push(Object { path, bytes: metadata.len(), written: metadata.modified()? }),
        }
    }
    Ok(())
}
