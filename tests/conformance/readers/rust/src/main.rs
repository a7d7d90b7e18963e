//! Answers requests from standard input with a Rust crate: `conformance-readers CRATE`, where `CRATE` is `model2vec` or `model2vec-rs`.
//!
//! A request is a line of JSON with `folder` and `texts`. The answer is a line with `vectors`, or with `error`.

use std::{
    env,
    io::{self, BufRead, Write},
    panic::{self, AssertUnwindSafe},
};

use anyhow::{bail, Result};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Request {
    folder: String,
    texts: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Vectors(Vec<Vec<f32>>),
    Error(String),
}

fn main() -> Result<()> {
    let name = env::args().nth(1).unwrap_or_default();
    let encode = match name.as_str() {
        "model2vec" => model2vec,
        "model2vec-rs" => model2vec_rs,
        _ => bail!("{name:?}: expected model2vec or model2vec-rs"),
    };
    for line in io::stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line?)?;
        // A crate may panic. The message is the answer, and the next request is answered.
        let result = panic::catch_unwind(AssertUnwindSafe(|| encode(&request)));
        let answer = match result {
            Ok(Ok(vectors)) => Answer::Vectors(vectors),
            Ok(Err(error)) => Answer::Error(format!("{error:#}")),
            Err(panicked) => Answer::Error(format!("panics: {}", message(&*panicked))),
        };
        println!("{}", serde_json::to_string(&answer)?);
        io::stdout().flush()?;
    }
    Ok(())
}

fn message(panicked: &(dyn std::any::Any + Send)) -> String {
    let text = panicked.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panicked.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}

fn model2vec(request: &Request) -> Result<Vec<Vec<f32>>> {
    let model = model2vec::Model2Vec::from_pretrained(&request.folder, None, None)?;
    Ok(model.encode(&request.texts)?.outer_iter().map(|row| row.to_vec()).collect())
}

fn model2vec_rs(request: &Request) -> Result<Vec<Vec<f32>>> {
    Ok(model2vec_rs::model::StaticModel::from_pretrained(&request.folder, None, None, None)?.encode(&request.texts))
}
