//! The crates behind one interface. Each is called in the fastest of the ways that it documents which encode all texts in one call.
//!
//! How many threads they use is for the environment to say, before the process starts. Both have rayon's global pool, which is as large as
//! `RAYON_NUM_THREADS` or, without it, as the number of processors that the process may use, and enter it through the `tokenizers` crate's
//! parallel iterators, which stay in the calling thread if `TOKENIZERS_PARALLELISM` is `false`. So `RAYON_NUM_THREADS=1` and
//! `TOKENIZERS_PARALLELISM=false` make one thread of both, and without the two variables
//!
//! - model2vec-rs does everything for a text in one task, tokenising and pooling, and the tasks are spread over the pool;
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

/// Load the model in `folder` by the crate of that name, as the model's `config.json` says.
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
