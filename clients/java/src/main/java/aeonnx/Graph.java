package aeonnx;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Set;

/**
 * Reads the bytes of a graph as the protobuf message that they are, before onnxruntime does, and
 * refuses what a bundle never holds: operators that are not ONNX's own, subgraphs (which may never
 * end), functions, weights in other files. Numbers of fields are those of onnx.proto.
 */
final class Graph {
    private static final int VARINT = 0;
    private static final int FIXED_64 = 1;
    private static final int CONTENT = 2;
    private static final int FIXED_32 = 5;
    private static final Set<String> NESTING = Set.of("Loop", "If", "Scan", "SequenceMap");
    private static final String OUTSIDE = "weights in other files";
    private static final String SPARSE = "sparse weights";

    private String operator = ""; // of the node that is read
    private boolean nested; // whether that node has a subgraph
    private int graphs;

    private Graph() {}

    /** What a bundle never holds. */
    private static final class Foreign extends RuntimeException {
        private static final long serialVersionUID = 1L;

        Foreign(String what) {
            super(what);
        }
    }

    /** It is not the message that it should be. */
    private static final class Malformed extends RuntimeException {
        private static final long serialVersionUID = 1L;

        Malformed(String reason) {
            super(reason);
        }
    }

    /** What to do with the content of a field that matters; others are skipped. */
    private interface Reader {
        void read(ByteBuffer content);
    }

    /** What to do with an integer field. */
    private interface Check {
        void read(long value);
    }

    /**
     * Refuse a graph that is more than operators and weights.
     *
     * @param file its name in messages
     */
    static void requirePlain(String file, byte[] graph) {
        try {
            new Graph().model(graph);
        } catch (Foreign what) {
            throw new AeonnxException(file + ": a bundle never holds " + what.getMessage());
        } catch (Malformed reason) {
            throw new AeonnxException(file + " is not an ONNX graph: " + reason.getMessage());
        }
    }

    private void model(byte[] data) {
        boolean own = data.length >= 8
                && new String(data, 4, 4, StandardCharsets.ISO_8859_1).equals("ORTM");
        if (own) {
            throw new Malformed("it is in onnxruntime's own format"); // it would be read as that
        }
        Map<Long, Reader> contents = Map.of(
                7L, content -> {
                    graphs++;
                    graph(content);
                },
                8L, content -> walk(content, Map.of(1L, Graph::domain), Map.of()),
                20L, refuse("training information"),
                25L, refuse("functions"));
        walk(ByteBuffer.wrap(data), contents, Map.of());
        if (graphs == 0) {
            throw new Malformed("it has no graph");
        }
    }

    private void graph(ByteBuffer data) {
        walk(data, Map.of(1L, this::node, 5L, Graph::tensor, 15L, refuse(SPARSE)), Map.of());
    }

    private void node(ByteBuffer data) {
        operator = "";
        nested = false;
        Reader name = content -> {
            operator = text(content);
            nested |= NESTING.contains(operator);
        };
        walk(data, Map.of(4L, name, 5L, this::attribute, 7L, Graph::domain), Map.of());
        if (nested) { // told of at the end: the operator's name may come behind its attributes
            throw new Foreign("a subgraph (" + operator + ")");
        }
    }

    private void attribute(ByteBuffer data) {
        Reader subgraph = content -> nested = true;
        Check type = value -> {
            int kind = (int) value;
            nested |= kind == 5 || kind == 10;
            if (kind == 11 || kind == 12) {
                throw new Foreign(SPARSE);
            }
        };
        Map<Long, Reader> contents = Map.of(
                5L, Graph::tensor, 10L, Graph::tensor,
                6L, subgraph, 11L, subgraph,
                22L, refuse(SPARSE), 23L, refuse(SPARSE));
        walk(data, contents, Map.of(20L, type));
    }

    private static void tensor(ByteBuffer data) {
        Check place = value -> {
            if (value != 0) {
                throw new Foreign(OUTSIDE);
            }
        };
        walk(data, Map.of(13L, refuse(OUTSIDE)), Map.of(14L, place));
    }

    private static void domain(ByteBuffer content) {
        String name = text(content);
        if (!name.isEmpty() && !name.equals("ai.onnx")) {
            throw new Foreign("operators of the domain \"" + name + "\"");
        }
    }

    private static Reader refuse(String what) {
        return content -> {
            throw new Foreign(what);
        };
    }

    private static String text(ByteBuffer content) {
        byte[] bytes = new byte[Math.min(content.remaining(), 80)];
        content.get(bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    // Goes over the fields of a message.
    private static void walk(ByteBuffer data, Map<Long, Reader> contents, Map<Long, Check> values) {
        while (data.hasRemaining()) {
            long tag = number(data);
            long field = tag >>> 3;
            int type = (int) (tag & 7);
            if (field == 0 || tag >>> 32 != 0) {
                throw new Malformed("it is cut, or not protobuf");
            }
            Reader reader = contents.get(field);
            Check check = values.get(field);
            boolean expected = (reader == null || type == CONTENT) && (check == null || type == VARINT);
            if (!expected || type != VARINT && type != FIXED_64 && type != CONTENT && type != FIXED_32) {
                throw new Malformed("field " + field + " has wire type " + type);
            }
            long value = type == VARINT || type == CONTENT ? number(data) : 0;
            long length = type == CONTENT ? value : type == FIXED_64 ? 8 : type == FIXED_32 ? 4 : 0;
            if (Long.compareUnsigned(length, data.remaining()) > 0) {
                throw new Malformed("field " + field + " is " + Long.toUnsignedString(length)
                        + " bytes, " + data.remaining() + " are left");
            }
            if (check != null) {
                check.read(value);
            }
            if (reader != null) {
                reader.read(data.slice(data.position(), (int) length));
            }
            data.position(data.position() + (int) length);
        }
    }

    private static long number(ByteBuffer data) {
        long value = 0;
        for (int shift = 0; shift < 64 && data.hasRemaining(); shift += 7) {
            byte next = data.get();
            if (shift == 63 && next > 1) {
                break;
            }
            value |= (long) (next & 0x7f) << shift;
            if (next >= 0) {
                return value;
            }
        }
        throw new Malformed("it is cut, or not protobuf");
    }
}
