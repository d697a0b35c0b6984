"""What encoding bytes are in that are no UTF-8 text, as far as they show it."""
