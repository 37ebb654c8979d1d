"""Mathematics as text: from characters to expressions that can be differentiated and computed."""
