//! How an engine is reached by its name, which is only known at run time.

/// Makes `NAMES`, the names of all engines compiled in, and `with_engine`, which does a job with the
/// one of a name. Engines implement the first trait, jobs the second, and each engine is behind a feature.
macro_rules! by_name {
    ($trait:ident, $job:ident: $($feature:literal $engine:path),+ $(,)?) => {
        /// The names of all engines compiled in, in the order of the table.
        pub(crate) const NAMES: &[&str] = &[
            $(#[cfg(feature = $feature)] <$engine as $trait>::NAME,)+
        ];

        /// Does `job` with the engine called `name`; gives it back if there is none.
        pub(crate) fn with_engine<J: $job>(name: &str, job: J) -> Result<J::Output, J> {
            $(
                #[cfg(feature = $feature)]
                if name == <$engine as $trait>::NAME {
                    return Ok(job.run::<$engine>());
                }
            )+
            let _ = name;
            Err(job)
        }
    };
}

pub(crate) use by_name;
