"""Media under load: telephones that send numbered packets, and what relays them."""
