//! What was done with each movie: the table `movie_statistics`. Nothing of `scripts/bench` rates one.

use hashbrown::HashMap;

#[derive(Default)]
pub struct Movie {
    pub views: i64,
    pub adds: i64,
    pub units: i64,
    pub cents: i64,
}

#[derive(Default)]
pub struct Statistics {
    pub movies: HashMap<u32, Movie>,
}

impl Statistics {
    pub fn of(&mut self, item: u32) -> &mut Movie {
        self.movies.entry(item).or_default()
    }
}
