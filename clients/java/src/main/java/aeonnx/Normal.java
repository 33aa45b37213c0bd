package aeonnx;

import static aeonnx.Json.expect;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import java.util.Arrays;

/**
 * What normal rows score.
 *
 * @param quantiles the lowest score, those of 1 % to 99 %, and the highest
 */
public record Normal(double[] quantiles) {
    private static final int QUANTILES = 101;

    /** What a manifest says of an output. */
    static Normal read(JsonElement value, String object) {
        String path = object + ".quantiles";
        JsonArray list = Json.list(Json.object(value, object).get("quantiles"), path);
        String expected = QUANTILES + " finite numbers in ascending order";
        expect(list.size() == QUANTILES, path, expected, list);
        double[] quantiles = new double[QUANTILES];
        for (int i = 0; i < QUANTILES; i++) {
            quantiles[i] = Json.number(list.get(i), path + "[" + i + "]");
            expect(i == 0 || quantiles[i - 1] <= quantiles[i], path, expected, list);
        }
        return new Normal(quantiles);
    }

    /** The share of normal rows with a lower score, in %. */
    public double percentile(double score) {
        int place = (int) Arrays.stream(quantiles).filter(quantile -> quantile < score).count();
        if (place == 0) {
            return 0;
        }
        if (place == quantiles.length) {
            return 100;
        }
        double low = quantiles[place - 1];
        return place - 1 + (score - low) / (quantiles[place] - low);
    }
}
