//! The crates behind one interface. Of the documented ways to encode all texts in one call, the fastest is used.
//!
//! The environment sets the number of threads before the process starts. Both crates use rayon's global pool. It has `RAYON_NUM_THREADS` threads, or
//! one for each processor that the process may use. They enter it through the parallel iterators of the `tokenizers` crate, which stay in the calling
//! thread if `TOKENIZERS_PARALLELISM` is `false`. So both crates use one thread with `RAYON_NUM_THREADS=1` and `TOKENIZERS_PARALLELISM=false`.
//! Without the two variables,
//!
//! - model2vec-rs tokenises and pools a text in one task, and the tasks are spread over the pool;
//! - model2vec tokenises a batch of 1,024 texts in the pool, and pools their vectors in the calling thread before the next batch.

use std::path::Path;

use anyhow::{bail, Result};

/// A model that a crate has loaded.
pub trait Peer {
    /// The version of the crate.
    fn version(&self) -> &'static str;
    /// The length of a vector.
    fn dim(&self) -> usize;
    /// The vectors of all texts, one after the other.
    fn encode(&self, texts: &[String]) -> Result<Vec<f32>>;
}

/// Load the model in `folder` with the crate of that name, with the settings of the model's `config.json`.
pub fn load(name: &str, folder: &Path) -> Result<Box<dyn Peer>> {
    Ok(match name {
        "model2vec" => Box::new(Model2Vec(model2vec::Model2Vec::from_pretrained(folder, None, None)?)),
        "model2vec-rs" => Box::new(Model2VecRs(model2vec_rs::model::StaticModel::from_pretrained(folder, None, None, None)?)),
        _ => bail!("{name}: no such crate, there are model2vec and model2vec-rs"),
    })
}

struct Model2Vec(model2vec::Model2Vec);

impl Peer for Model2Vec {
    fn version(&self) -> &'static str {
        env!("MODEL2VEC_VERSION")
    }

    fn dim(&self) -> usize {
        self.0.embedding_dim()
    }

    fn encode(&self, texts: &[String]) -> Result<Vec<f32>> {
        // At most 512 tokens of a text, 1,024 texts in a batch.
        Ok(self.0.encode(texts)?.into_raw_vec_and_offset().0)
    }
}

struct Model2VecRs(model2vec_rs::model::StaticModel);

impl Peer for Model2VecRs {
    fn version(&self) -> &'static str {
        env!("MODEL2VEC_RS_VERSION")
    }

    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn encode(&self, texts: &[String]) -> Result<Vec<f32>> {
        // At most 512 tokens of a text, and no batches. `encode` does the same and allocates each vector.
        Ok(self.0.encode_flat(texts))
    }
}
