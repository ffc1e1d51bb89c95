"""Where does it go? One receipt for each instance, in the words of the peer."""
