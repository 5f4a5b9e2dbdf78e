//! Where the service models come from: the wheel of one botocore release, pinned by version and SHA-256.
//!
//! The wheel is fetched with pip when the cache does not hold it. Python unpacks it, since Python is there for
//! pip anyway; only the service models are taken.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;

use crate::model::Model;

/// The release that the committed code was made from.
pub(crate) const VERSION: &str = "1.44.5";

/// SHA-256 of `botocore-1.44.5-py3-none-any.whl`.
const WHEEL_SHA256: &str = "8f16a56d1dff125dd65322ae021efa7ba5195a6db5102b96862566055b748921";

/// Unpacks the models of the wheel `argv[1]`, if its SHA-256 is `argv[2]`, into the directory `argv[3]`.
const UNPACK: &str = r#"
import hashlib, sys, zipfile
wheel, want, target = sys.argv[1:]
with open(wheel, "rb") as f:
    got = hashlib.sha256(f.read()).hexdigest()
if got != want:
    sys.exit(f"{wheel} has SHA-256 {got}, not the pinned {want}; delete it and try again")
with zipfile.ZipFile(wheel) as z:
    for name in z.namelist():
        if name.startswith("botocore/data/") and name.endswith("/service-2.json.gz"):
            z.extract(name, target)
"#;

/// The service models of the pinned release, unpacked on disk.
#[derive(Debug)]
pub(crate) struct Botocore {
    data: PathBuf,
}

impl Botocore {
    /// Opens the package at `given`, a wheel, or a directory with a wheel or an unpacked `botocore/data`; without
    /// it, the one in the cache, fetched first if need be.
    pub(crate) fn open(given: Option<&Path>) -> Result<Self> {
        let cache = cache_dir()?;
        match given {
            Some(path) if path.is_file() => Self::unpack(path, &cache),
            Some(path) => {
                let wheel = path.join(wheel_name());
                let data = [path.join("botocore/data"), path.join("data")].into_iter().find(|data| data.is_dir());
                match data {
                    _ if wheel.is_file() => Self::unpack(&wheel, &cache),
                    Some(data) => Ok(Self { data }),
                    None => bail!("{} holds neither {} nor botocore/data", path.display(), wheel_name()),
                }
            }
            None => {
                let wheel = cache.join(wheel_name());
                if !wheel.is_file() {
                    fetch(&cache)?;
                }
                Self::unpack(&wheel, &cache)
            }
        }
    }

    fn unpack(wheel: &Path, cache: &Path) -> Result<Self> {
        let target = cache.join(format!("botocore-{VERSION}"));
        let unpacked = Command::new("python3").args(["-c", UNPACK]).arg(wheel).arg(WHEEL_SHA256).arg(&target).status();
        ensure!(unpacked.context("python3 is needed to unpack botocore")?.success(), "botocore was not unpacked");
        Ok(Self { data: target.join("botocore/data") })
    }

    /// The newest API version of `service`, by the name of its directory.
    pub(crate) fn load(&self, service: &str) -> Result<Model> {
        let directory = self.data.join(service);
        let newest = entries(&directory)?
            .into_values()
            .rfind(|version| version.join("service-2.json.gz").is_file())
            .with_context(|| format!("{} holds no service model", directory.display()))?;
        let path = newest.join("service-2.json.gz");
        let file = File::open(&path).with_context(|| path.display().to_string())?;
        serde_json::from_reader(std::io::BufReader::new(GzDecoder::new(file)))
            .with_context(|| format!("{} does not read as a service model", path.display()))
    }

    /// The directory names of all services, in order.
    pub(crate) fn services(&self) -> Result<Vec<String>> {
        Ok(entries(&self.data)?.into_iter().filter(|(_, path)| path.is_dir()).map(|(name, _)| name).collect())
    }
}

/// The directory for downloads: `$OPENTRAIL_CACHE`, by default `~/.cache/opentrail`.
fn cache_dir() -> Result<PathBuf> {
    let dir = match std::env::var_os("OPENTRAIL_CACHE") {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(std::env::var_os("HOME").context("neither OPENTRAIL_CACHE nor HOME is set")?)
            .join(".cache/opentrail"),
    };
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    Ok(dir)
}

fn wheel_name() -> String {
    format!("botocore-{VERSION}-py3-none-any.whl")
}

fn fetch(cache: &Path) -> Result<()> {
    let status = Command::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest"])
        .arg(cache)
        .arg(format!("botocore=={VERSION}"))
        .status()
        .context("python3 with pip is needed to fetch botocore")?;
    ensure!(status.success(), "pip could not fetch botocore {VERSION}; pass --botocore PATH to use a copy");
    Ok(())
}

fn entries(directory: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let listing = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    let mut entries = BTreeMap::new();
    for entry in listing {
        let entry = entry?;
        entries.insert(entry.file_name().to_string_lossy().into_owned(), entry.path());
    }
    Ok(entries)
}
