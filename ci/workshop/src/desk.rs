//! Where exercises are worked on: a folder with a crate for each, which is a copy of the listing
//! with a hole in it.
//!
//! The crates are a Cargo workspace of their own, so that what does not compile yet is in
//! nobody's way, and an editor that knows Rust can open the folder. What a listing inherits from
//! the book's workspace is written out, and dependencies on other listings lead to those.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use runs::exercises::Exercise;
use runs::includes;
use toml::{Table, Value};

/// What does not belong to a listing's sources.
const NOT_COPIED: [&str; 2] = ["Cargo.toml", "target"];

/// A folder of exercises.
#[derive(Clone, Debug)]
pub struct Desk {
    /// The book's workspace.
    pub root: PathBuf,
    /// The folder.
    pub folder: PathBuf,
    /// Where Cargo builds.
    pub target: PathBuf,
}

impl Desk {
    /// The learner's, which git ignores: `workshop` in the book's folder.
    pub fn of_learner(root: &Path) -> Self {
        let target = root.join("target/workshop");
        Self { root: root.to_owned(), folder: root.join("workshop"), target }
    }

    /// One that is thrown away, for the proof that exercises are what they claim.
    pub fn for_proof(root: &Path, number: usize) -> Self {
        let folder = root.join(format!("target/workshop-proof-{number}"));
        let target = root.join("target/workshop-proof");
        Self { root: root.to_owned(), folder, target }
    }

    /// The crate of an exercise.
    pub fn crate_of(&self, exercise: &Exercise) -> PathBuf {
        self.folder.join(&exercise.name)
    }

    /// The file that is worked on.
    pub fn file_of(&self, exercise: &Exercise) -> PathBuf {
        self.crate_of(exercise).join(&exercise.file)
    }

    /// Puts an exercise on the desk, with this code or, if none is given, the answer. What lies
    /// there is written over.
    ///
    /// # Errors
    /// What files and folders answer, with their names.
    pub fn put(&self, exercise: &Exercise, code: Option<&str>) -> Result<(), String> {
        let here = self.crate_of(exercise);
        if !here.join("Cargo.toml").is_file() {
            let listing = self.root.join("listings").join(&exercise.listing);
            copy(&listing, &here)
                .map_err(|error| format!("{}: {error}", here.display()))?;
            let manifest = self.manifest(exercise, &listing)?;
            write(&here.join("Cargo.toml"), &manifest)?;
        }
        let source = read(&self.root.join(exercise.source()))?;
        let text = exercise.file_with(&source, code).map_err(|error| error.to_string())?;
        write(&self.file_of(exercise), &text)?;
        self.tie_together()
    }

    /// Moves what lies there out of the way. Says where to; none if nothing does.
    ///
    /// # Errors
    /// What files and folders answer.
    pub fn keep(&self, exercise: &Exercise) -> Result<Option<PathBuf>, String> {
        let here = self.crate_of(exercise);
        if !here.exists() {
            return Ok(None);
        }
        let kept = self.folder.join("kept");
        let free = |n: &u32| !kept.join(format!("{}-{n}", exercise.name)).exists();
        let number = (1..).find(free).unwrap_or_default();
        let there = kept.join(format!("{}-{number}", exercise.name));
        let moved = fs::create_dir_all(&kept).and_then(|()| fs::rename(&here, &there));
        moved.map_err(|error| format!("{}: {error}", there.display()))?;
        Ok(Some(there))
    }

    /// The workspace around the crates: its members, the versions of what they depend on, and
    /// where it builds.
    ///
    /// # Errors
    /// What files answer.
    pub fn tie_together(&self) -> Result<(), String> {
        let entries = fs::read_dir(&self.folder).map_err(|error| error.to_string())?;
        let crates =
            entries.flatten().filter(|entry| entry.path().join("Cargo.toml").is_file());
        let mut members: Vec<String> =
            crates.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        members.sort();
        let root: Table = parse(&self.root.join("Cargo.toml"))?;
        let mut manifest = Table::new();
        let mut workspace = Table::new();
        workspace.insert("resolver".into(), "3".into());
        workspace.insert("members".into(), members.into());
        workspace.insert("exclude".into(), vec!["kept"].into());
        manifest.insert("workspace".into(), workspace.into());
        // Line tables, by which a check names lines.
        let dev = root.get("profile").and_then(|profiles| profiles.get("dev")).cloned();
        if let Some(mut dev) = dev {
            // It names packages that are not here.
            if let Some(packages) = dev.get_mut("package").and_then(Value::as_table_mut) {
                packages.retain(|name, _| name == "*");
            }
            let profile = Table::from_iter([("dev".to_owned(), dev)]);
            manifest.insert("profile".into(), profile.into());
        }
        write_if_new(&self.folder.join("Cargo.toml"), &manifest.to_string())?;
        // Cargo takes out what no member needs yet. Those who come later need the same versions.
        let lock = read(&self.root.join("Cargo.lock"))?;
        write(&self.folder.join("Cargo.lock"), &lock)?;
        let target = relative(&self.folder, &self.target);
        let mut config =
            format!("[build]\ntarget-dir = {:?}\n", target.display().to_string());
        // The book's own alias would look for the tool among the exercises. (An alias has words
        // between spaces, so a folder with a space in its name has none here.)
        let (manifest, target) = (self.root.join("Cargo.toml"), self.root.join("target"));
        let words = format!(
            "run --quiet --manifest-path {} --target-dir {} --bin workshop --",
            manifest.display(),
            target.display()
        );
        if !self.root.display().to_string().contains(char::is_whitespace) {
            config += &format!("\n[alias]\nworkshop = {words:?}\n");
        }
        write_if_new(&self.folder.join(".cargo/config.toml"), &config)
    }

    /// The crate's manifest: the listing's, with a name of its own.
    fn manifest(&self, exercise: &Exercise, listing: &Path) -> Result<String, String> {
        let root = parse(&self.root.join("Cargo.toml"))?;
        let mut manifest = parse(&listing.join("Cargo.toml"))?;
        // What a hole leaves unused is no news, and would say what belongs there.
        let unused = ["unused_imports", "dead_code", "unused_variables"];
        let unused = unused.map(|lint| (lint.to_owned(), Value::from("allow")));
        let lints =
            Table::from_iter([("rust".to_owned(), Table::from_iter(unused).into())]);
        manifest.insert("lints".into(), lints.into());
        let package = manifest.get_mut("package").and_then(Value::as_table_mut);
        let package = package.ok_or("a listing is a package")?;
        package.remove("metadata");
        let inherited =
            |key: &str| root.get("workspace")?.get("package")?.get(key).cloned();
        for (key, value) in package.iter_mut() {
            if is_inherited(value)
                && let Some(known) = inherited(key)
            {
                *value = known;
            }
        }
        package.insert("name".into(), exercise.name.clone().into());
        let name = &exercise.listing;
        if listing.join("src/lib.rs").is_file() && !manifest.contains_key("lib") {
            let lib = [("name".to_owned(), Value::from(name.replace('-', "_")))];
            manifest.insert("lib".into(), Table::from_iter(lib).into());
        }
        if listing.join("src/main.rs").is_file() {
            let bins = manifest.entry("bin").or_insert(Value::Array(Vec::new()));
            let main = [("name", name.as_str()), ("path", "src/main.rs")];
            let main = main.map(|(key, value)| (key.to_owned(), Value::from(value)));
            if let Some(bins) = bins.as_array_mut()
                && !bins.iter().any(|bin| bin.get("name") == Some(&name.clone().into()))
            {
                bins.push(Table::from_iter(main).into());
            }
        }
        self.write_out(&mut manifest, &root);
        Ok(manifest.to_string())
    }

    /// What is inherited of dependencies, in every table of them.
    fn write_out(&self, manifest: &mut Table, root: &Table) {
        let known =
            root.get("workspace").and_then(|workspace| workspace.get("dependencies"));
        let up = relative(&self.folder.join("a crate"), &self.root);
        let resolve = |dependencies: &mut Value| {
            for (name, value) in dependencies.as_table_mut().into_iter().flatten() {
                let Some(known) = known.and_then(|known| known.get(name)) else { continue };
                if !is_inherited(value) {
                    continue;
                }
                let mut whole = match known {
                    Value::Table(table) => table.clone(),
                    version => Table::from_iter([("version".to_owned(), version.clone())]),
                };
                if let Some(Value::String(path)) = whole.get_mut("path") {
                    *path = up.join(&*path).display().to_string();
                }
                if let Some(more) = value.get("features").and_then(Value::as_array) {
                    let features =
                        whole.entry("features").or_insert(Value::Array(Vec::new()));
                    features
                        .as_array_mut()
                        .into_iter()
                        .for_each(|all| all.extend(more.clone()));
                }
                *value = whole.into();
            }
        };
        let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
        for name in tables {
            manifest.get_mut(name).into_iter().for_each(resolve);
        }
        let targets = manifest.get_mut("target").and_then(Value::as_table_mut);
        for (_, target) in targets.into_iter().flatten() {
            for name in tables {
                target.get_mut(name).into_iter().for_each(resolve);
            }
        }
    }
}

fn is_inherited(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

/// The way from one folder to another.
pub fn relative(from: &Path, to: &Path) -> PathBuf {
    let shared = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(shared).map(|_| Path::new(".."));
    let down = to.components().skip(shared);
    up.map(Path::to_path_buf)
        .chain(down.map(|part| PathBuf::from(part.as_os_str())))
        .collect()
}

/// A listing's files, without the lines that mark excerpts.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let Some(name) = path.file_name() else { continue };
        if NOT_COPIED.iter().any(|not| *name == **not) {
            continue;
        }
        let there = to.join(name);
        if path.is_dir() {
            copy(&path, &there)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            let lines = text.lines().filter(|line| !includes::is_anchor(line));
            fs::write(there, lines.map(|line| line.to_owned() + "\n").collect::<String>())?;
        } else {
            fs::copy(&path, there)?;
        }
    }
    Ok(())
}

pub(crate) fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), String> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// Leaves a file alone that says so already: Cargo looks at the time of change.
fn write_if_new(path: &Path, text: &str) -> Result<(), String> {
    match fs::read_to_string(path) {
        Ok(known) if known == text => Ok(()),
        _ => write(path, text),
    }
}

fn parse(path: &Path) -> Result<Table, String> {
    read(path)?.parse().map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_from_one_folder_to_another() {
        for (from, to, way) in [
            ("/a/workshop/x", "/a", "../.."),
            ("/a/workshop", "/a/target/workshop", "../target/workshop"),
            ("/a/b", "/a/b/target", "target"),
        ] {
            assert_eq!(relative(Path::new(from), Path::new(to)), Path::new(way));
        }
    }
}
