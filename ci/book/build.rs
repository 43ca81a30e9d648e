//! Finds `mermaid.min.js` in the sources of the mdbook-mermaid package, so that the book
//! program can carry it.

use std::error::Error;
use std::path::Path;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=../../Cargo.lock");

    let output = Command::new(std::env::var("CARGO")?)
        .args([
            "metadata",
            "--format-version=1",
            "--filter-platform",
            &std::env::var("TARGET")?,
        ])
        .output()?;
    if !output.status.success() {
        return Err(
            format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)).into()
        );
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let package = metadata["packages"]
        .as_array()
        .and_then(|packages| {
            packages.iter().find(|package| package["name"] == "mdbook-mermaid")
        })
        .ok_or("cargo metadata names no package mdbook-mermaid")?;
    let manifest =
        package["manifest_path"].as_str().ok_or("mdbook-mermaid has no manifest path")?;
    let script = Path::new(manifest)
        .with_file_name("src")
        .join("bin")
        .join("assets")
        .join("mermaid.min.js");
    if !script.is_file() {
        return Err(format!("mdbook-mermaid no longer carries {}", script.display()).into());
    }
    println!("cargo:rustc-env=MERMAID_JS={}", script.display());
    Ok(())
}
