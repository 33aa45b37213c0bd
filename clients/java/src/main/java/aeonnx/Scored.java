package aeonnx;

/**
 * How unlike those of the training rows are.
 *
 * @param scores of each row: the larger, the less it is like them; infinite where the network overflows
 * @param percentiles the share of normal rows with a lower score, in %; NaN where the manifest does not
 *     say what these score
 * @param odd whether a score is above the threshold
 * @param threshold as a number
 */
public record Scored(float[] scores, double[] percentiles, boolean[] odd, double threshold) {}
