package aeonnx;

import java.util.Locale;

/** What a tensor is, so that programs know what to do with it. */
public enum Kind {
    IMAGE(4), // [batch, channels, height, width]
    LATENT(0),
    CODES(0),
    VECTOR(2), // [batch, columns]
    SIGNAL(3), // [batch, channels, time]
    VOLUME(5), // [batch, channels, depth, height, width]
    LABEL(0),
    SCORE(1),
    SEED(1), // one for all rows
    INDEX(1),
    CANVAS(3), // [batch, height, width], as large as the images
    MASK(0),
    OTHER(0);

    /** How many sizes its shape has; 0 for any number. */
    final int rank;

    Kind(int rank) {
        this.rank = rank;
    }

    /** As the manifest calls it. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
