//! Read the versions of the two crates from `Cargo.lock`, so that `main.rs` can report them.

use std::{env, fs, path::Path};

const CRATES: [(&str, &str); 2] = [("model2vec", "MODEL2VEC_VERSION"), ("model2vec-rs", "MODEL2VEC_RS_VERSION")];

fn main() {
    let lock = Path::new(&env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("Cargo.lock");
    println!("cargo:rerun-if-changed={}", lock.display());
    let text = fs::read_to_string(&lock).expect("Cargo.lock can be read");
    for (name, variable) in CRATES {
        // A package's entry is a line with its name, and after it one with its version.
        let mut lines = text.lines().skip_while(|line| *line != format!("name = \"{name}\""));
        let version = lines.nth(1).and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
        println!("cargo:rustc-env={variable}={}", version.unwrap_or_else(|| panic!("no version of {name} in Cargo.lock")));
    }
}
