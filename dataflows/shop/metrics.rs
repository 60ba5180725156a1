//! The metrics, one file each.

pub mod active_sessions;
pub mod checkouts;
pub mod movie_sale_lines;
pub mod movie_sales_metrics;
pub mod movie_statistics;
pub mod movies_catalog;
pub mod registrations;
pub mod session_metrics;
pub mod user_activity;
pub mod user_segments;
pub mod users;
pub mod users_per_window;
