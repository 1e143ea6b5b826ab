"""Numbers on a page: metrics beside their floors, and the columns and pairs behind them."""
