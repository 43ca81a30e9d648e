//! An output block that no longer shows what its run prints, seen failing.

use std::fs;

use book_tests::recorded::{Performances, check};
use runs::{chapters, fences, load};

const MANIFEST: &str = "[package]
name = \"drifting\"
edition = \"2024\"

[package.metadata.run.count]
varies = ['[0-9.]+ ms']

[package.metadata.run.gone]
via = [\"no-such-program\"]
";

const CHAPTER: &str = "# X

```text,run=drifting/count
counted 4 in 99.9 ms
```

```text,run=drifting/count
counted 3 in 12.5 ms
```

```text,run=drifting/gone
```
";

#[test]
fn drift_fails_with_the_place_a_diff_and_the_command_that_refreshes() {
    let book = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"listings/*\"]\n"),
        ("listings/drifting/Cargo.toml", MANIFEST),
        (
            "listings/drifting/src/main.rs",
            "fn main() {\n    println!(\"counted 4 in 11.7 ms\");\n}\n",
        ),
        ("src/x.md", CHAPTER),
    ] {
        let path = book.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let runs = load(book.path()).unwrap();
    let blocks = fences(&chapters(book.path()).unwrap()[0]).unwrap();
    let all = Performances::new(book.path(), runs);
    let checked: Vec<_> = blocks.iter().map(|fence| check(fence, &all)).collect();

    if !cfg!(target_os = "linux") {
        assert!(
            checked.iter().all(|checked| matches!(checked, Ok(Some(_)))),
            "{checked:?}"
        );
        flags::skipped(format_args!("runs are performed under Linux only"));
        return;
    }
    assert_eq!(checked[0], Ok(None), "the milliseconds vary");
    let drift = checked[1].as_ref().unwrap_err();
    assert!(
        drift.starts_with(
            "src/x.md:7: the block no longer shows what drifting/count prints\n"
        ),
        "{drift}"
    );
    assert!(drift.contains("\n-counted 3 in …\n+counted 4 in …\n"), "{drift}");
    assert!(drift.ends_with("cargo book record drifting/count"), "{drift}");
    assert_eq!(checked[2], Ok(Some("no-such-program is not installed".to_owned())));
}
