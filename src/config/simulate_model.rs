//! What `simulate --model` makes: how the users of a web store and of a media service behave, and how dirty their events are.

use super::wrong::Wrongs;
use crate::declared::declared;
use serde::{Deserialize, Serialize};

declared! {
    /// Events of the families of a model, for `simulate --model`. How many there are, when, how late, how often twice
    /// and how many malformed, is said in `[simulate]`.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct SimulateModel {
        /// Store: of 1000 products that are looked at, how many go into the cart.
        pub cart_permille: f64,
        /// Store: of 1000 products in a cart, how many are removed again.
        pub remove_permille: f64,
        /// Store: of 1000 products that stay in a cart, how many are bought.
        pub buy_permille: f64,
        /// Store: of 1000 products that are looked at, how many are bought without a cart.
        pub buy_at_once_permille: f64,
        /// Store: of 1000 products that are bought, how many are given back for their price.
        pub refund_permille: f64,
        /// Store: of 1000 products, how many have no category code.
        pub empty_code_permille: f64,
        /// Store: of 1000 products, how many have no brand.
        pub empty_brand_permille: f64,
        /// Store: of 1000 visits, how many have no session id.
        pub empty_session_permille: f64,
        /// Store: of 1000 prices that end with a 0, how many are written without it: `5.4`.
        pub one_decimal_permille: f64,
        /// Media: of 1000 searches, how many are followed by a play.
        pub play_permille: f64,
        /// Media: of 1000 plays, how many are watched to the end.
        pub watched_permille: f64,
        /// Other families: of 1000 values that may be empty, how many are.
        pub empty_permille: f64,
    }
}

impl Default for SimulateModel {
    fn default() -> SimulateModel {
        SimulateModel {
            cart_permille: 40.0,
            remove_permille: 150.0,
            buy_permille: 400.0,
            buy_at_once_permille: 15.0,
            refund_permille: 5.0,
            empty_code_permille: 318.0,
            empty_brand_permille: 144.0,
            empty_session_permille: 1.0,
            one_decimal_permille: 20.0,
            play_permille: 600.0,
            watched_permille: 400.0,
            empty_permille: 100.0,
        }
    }
}

impl SimulateModel {
    /// What is wrong.
    pub(super) fn wrong(&self, wrongs: &mut Wrongs) {
        for (key, permille) in [
            ("cart", self.cart_permille),
            ("remove", self.remove_permille),
            ("buy", self.buy_permille),
            ("buy_at_once", self.buy_at_once_permille),
            ("refund", self.refund_permille),
            ("empty_code", self.empty_code_permille),
            ("empty_brand", self.empty_brand_permille),
            ("empty_session", self.empty_session_permille),
            ("one_decimal", self.one_decimal_permille),
            ("play", self.play_permille),
            ("watched", self.watched_permille),
            ("empty", self.empty_permille),
        ] {
            if !(0.0..=1000.0).contains(&permille) {
                wrongs.say(&format!("simulate_model.{key}_permille"), format!("is {permille}; expected 0 to 1000"));
            }
        }
    }
}
