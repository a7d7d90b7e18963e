//! Times a Rust crate that reads Model2Vec models. It loads a model, encodes all lines of a file once to warm up, and then once in each round.
//!
//! ```text
//! rust-peers CRATE MODEL_FOLDER TEXTS [--rounds N] [--vectors FILE]
//! ```
//!
//! `CRATE` is `model2vec` or `model2vec-rs`. `TEXTS` is UTF-8, and each line feed ends a text. `--vectors` writes the vectors of the warm-up to a
//! file, row by row, as float32 with the lowest byte first.
//!
//! After the warm-up, standard output has a line of JSON with `crate`, `version`, `texts`, `dim` and `load_seconds`. Each round adds a line with its
//! `seconds`. With `--rounds`, the rounds follow each other. Without, each round waits for a line `go` on standard input, so that another process
//! can take turns with this one. The end of the input ends the process.

use std::{
    env, fs,
    hint::black_box,
    io::{self, BufRead, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::{bail, Context, Result};

mod peers;

use peers::Peer;

struct Arguments {
    name: String,
    model: PathBuf,
    texts: PathBuf,
    rounds: Option<usize>,
    vectors: Option<PathBuf>,
}

impl Arguments {
    fn parse() -> Result<Self> {
        let mut places = Vec::new();
        let (mut rounds, mut vectors) = (None, None);
        let mut arguments = env::args_os().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--rounds") => {
                    let value = arguments.next().context("--rounds needs a number")?;
                    let number = value.to_str().and_then(|text| text.parse().ok());
                    rounds = Some(number.with_context(|| format!("--rounds: {value:?} is not a number"))?);
                }
                Some("--vectors") => vectors = Some(arguments.next().context("--vectors needs a file")?.into()),
                Some(option) if option.starts_with("--") => bail!("{option}: no such option"),
                _ => places.push(argument),
            }
        }
        let Ok([name, model, texts]) = <[_; 3]>::try_from(places) else {
            bail!("usage: rust-peers CRATE MODEL_FOLDER TEXTS [--rounds N] [--vectors FILE]");
        };
        Ok(Self { name: name.to_string_lossy().into_owned(), model: model.into(), texts: texts.into(), rounds, vectors })
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The alternate form prints the messages of all causes.
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments = Arguments::parse()?;
    let texts = read_texts(&arguments.texts)?;
    let start = Instant::now();
    let peer = peers::load(&arguments.name, &arguments.model)?;
    let load_seconds = start.elapsed().as_secs_f64();

    let vectors = peer.encode(&texts)?;
    if let Some(path) = &arguments.vectors {
        write_vectors(path, &vectors).with_context(|| format!("cannot write {}", path.display()))?;
    }
    drop(vectors);
    report(&format!(
        r#"{{"crate": "{}", "version": "{}", "texts": {}, "dim": {}, "load_seconds": {load_seconds:.9}}}"#,
        arguments.name,
        peer.version(),
        texts.len(),
        peer.dim(),
    ))?;

    match arguments.rounds {
        Some(rounds) => (0..rounds).try_for_each(|_| round(&*peer, &texts)),
        None => {
            for line in io::stdin().lock().lines() {
                match line?.as_str() {
                    "go" => round(&*peer, &texts)?,
                    other => bail!("standard input: {other:?}, where a round begins with \"go\""),
                }
            }
            Ok(())
        }
    }
}

/// Encode all texts and report how long it took. Freeing the vectors is not timed.
fn round(peer: &dyn Peer, texts: &[String]) -> Result<()> {
    let start = Instant::now();
    let vectors = black_box(peer.encode(black_box(texts))?);
    let seconds = start.elapsed().as_secs_f64();
    drop(vectors);
    report(&format!(r#"{{"seconds": {seconds:.9}}}"#))
}

/// Write a line to standard output, and flush it, because its reader waits for it.
fn report(line: &str) -> Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    Ok(output.flush()?)
}

fn read_texts(path: &Path) -> Result<Vec<String>> {
    let all = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    // Not `lines`, which would remove a carriage return at the end of a text.
    Ok(all.split_terminator('\n').map(String::from).collect())
}

fn write_vectors(path: &Path, vectors: &[f32]) -> io::Result<()> {
    let mut file = BufWriter::new(fs::File::create(path)?);
    vectors.iter().try_for_each(|value| file.write_all(&value.to_le_bytes()))?;
    file.flush()
}
