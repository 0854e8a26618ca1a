import java.util.Set;
import javax.annotation.processing.*;
import javax.lang.model.element.TypeElement;

@SupportedAnnotationTypes("*")
public class Task extends AbstractProcessor {
    @Override
    public boolean process(Set<? extends TypeElement> types, RoundEnvironment round) {
        throw new IllegalStateException();
    }

    public static void main(String[] arguments) {
        System.out.println("hello");
    }
}
