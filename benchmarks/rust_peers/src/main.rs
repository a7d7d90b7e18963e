//! Times a Rust crate that reads Model2Vec models. It loads a model, encodes lines of a file once to warm up, and then encodes lines in each round.
//!
//! ```text
//! rust-peers CRATE MODEL_FOLDER TEXTS [--warm N] [--rounds N] [--vectors FILE]
//! ```
//!
//! `CRATE` is `model2vec` or `model2vec-rs`. `TEXTS` is UTF-8, and each line feed ends a text. The warm-up encodes the first `--warm` texts, or all of
//! them. `--vectors` writes the vectors of the warm-up to a file, row by row, as float32 with the lowest byte first.
//!
//! After the warm-up, standard output has a line of JSON with `crate`, `version`, `texts`, `dim` and `load_seconds`. `texts` is the number of texts of
//! the warm-up. Each round adds a line. With `--rounds`, the rounds follow each other. Without, each round waits for a line on standard input, so that
//! another process can take turns with this one. The end of the input ends the process. A line is
//!
//! - `go`: encode all texts in one call. The round's line has the `seconds`;
//! - `FIRST LAST SIZE`: encode the texts with the numbers `FIRST` to `LAST - 1` in calls of `SIZE` texts. The round's line has the list `calls` with
//!   the seconds of each call.

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
    warm: Option<usize>,
    rounds: Option<usize>,
    vectors: Option<PathBuf>,
}

impl Arguments {
    fn parse() -> Result<Self> {
        let mut places = Vec::new();
        let (mut warm, mut rounds, mut vectors) = (None, None, None);
        let mut arguments = env::args_os().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some(option @ ("--warm" | "--rounds")) => {
                    let value = arguments.next().with_context(|| format!("{option} needs a number"))?;
                    let number = value.to_str().and_then(|text| text.parse().ok());
                    let number = Some(number.with_context(|| format!("{option}: {value:?} is not a number"))?);
                    *(if option == "--warm" { &mut warm } else { &mut rounds }) = number;
                }
                Some("--vectors") => vectors = Some(arguments.next().context("--vectors needs a file")?.into()),
                Some(option) if option.starts_with("--") => bail!("{option}: no such option"),
                _ => places.push(argument),
            }
        }
        let Ok([name, model, texts]) = <[_; 3]>::try_from(places) else {
            bail!("usage: rust-peers CRATE MODEL_FOLDER TEXTS [--warm N] [--rounds N] [--vectors FILE]");
        };
        Ok(Self { name: name.to_string_lossy().into_owned(), model: model.into(), texts: texts.into(), warm, rounds, vectors })
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

    let first = &texts[..arguments.warm.unwrap_or(texts.len()).min(texts.len())];
    let vectors = peer.encode(first)?;
    if let Some(path) = &arguments.vectors {
        write_vectors(path, &vectors).with_context(|| format!("cannot write {}", path.display()))?;
    }
    drop(vectors);
    report(&format!(
        r#"{{"crate": "{}", "version": "{}", "texts": {}, "dim": {}, "load_seconds": {load_seconds:.9}}}"#,
        arguments.name,
        peer.version(),
        first.len(),
        peer.dim(),
    ))?;

    match arguments.rounds {
        Some(rounds) => (0..rounds).try_for_each(|_| round(&*peer, &texts)),
        None => {
            for line in io::stdin().lock().lines() {
                match line?.as_str() {
                    "go" => round(&*peer, &texts)?,
                    other => calls(&*peer, &texts, other)?,
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

/// Encode some texts in calls of the same size, and report how long each call took. Freeing the vectors is not timed.
fn calls(peer: &dyn Peer, texts: &[String], line: &str) -> Result<()> {
    let numbers: Option<Vec<usize>> = line.split(' ').map(|number| number.parse().ok()).collect();
    let Some(&[first, last, size]) = numbers.as_deref() else {
        bail!("standard input: {line:?}, expected \"go\" or \"FIRST LAST SIZE\"");
    };
    let chosen = texts.get(first..last).with_context(|| format!("standard input: {line:?}, there are {} texts", texts.len()))?;
    let mut seconds = Vec::new();
    for call in chosen.chunks(size.max(1)) {
        let start = Instant::now();
        let vectors = black_box(peer.encode(black_box(call))?);
        seconds.push(format!("{:.9}", start.elapsed().as_secs_f64()));
        drop(vectors);
    }
    report(&format!(r#"{{"calls": [{}]}}"#, seconds.join(", ")))
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
